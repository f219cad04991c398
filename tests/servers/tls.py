"""Certificates of our own, right and wrong, and servers that show them."""

import datetime
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .raw import HungUp, RawServer, Script


def certificate(path: Path, *, name: str = "127.0.0.1", days: int = 1) -> str:
    """Write a self-signed certificate with its key, for an address or a host; says where.

    It holds until `days` from now, and has held for so many before; with -1 it has expired.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_alternative(name)]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(path)


def inside_tls(raw_server: Callable[[Script], RawServer], path: str) -> Callable[..., RawServer]:
    """Start servers that speak raw bytes inside TLS, and show the certificate in this file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)

    def start(script: Script) -> RawServer:
        def inside(connection: Any) -> None:
            try:
                wrapped = context.wrap_socket(connection._socket, server_side=True)
            except OSError as exc:
                raise HungUp from exc
            with wrapped:
                connection._socket = wrapped
                script(connection)

        server = raw_server(inside)
        server.url = server.url.replace("http:", "https:")
        return server

    return start


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
