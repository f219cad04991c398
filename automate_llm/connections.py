"""Connections that keep to an exchange's deadline, and dial only checked addresses."""

import queue
import socket
import ssl
import threading
import time
from typing import Any

import certifi
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

from .addresses import check_address
from .exceptions import AddressRefused, ConnectionFailed
from .exchange import Exchange, current_exchange

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 4.0
"""A kept connection older than this is not used again: most servers close theirs after five
seconds, and a request that meets the closing one is a call whose outcome nobody knows."""


class _Bounded:
    """What a plain and a TLS socket share: every wait ends with the exchange."""

    exchange: Exchange | None = None

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        exchange = self.exchange
        if exchange is None:
            return super().recv_into(buffer, nbytes, flags)  # type: ignore[misc,no-any-return]
        self.settimeout(exchange.remaining())  # type: ignore[attr-defined]
        try:
            size: int = super().recv_into(buffer, nbytes, flags)  # type: ignore[misc]
        except OSError as exc:
            raise exchange.translated(exc) from None
        exchange.received(size)
        return size

    def sendall(self, data: Any, flags: int = 0) -> None:
        exchange = self.exchange
        if exchange is None:
            super().sendall(data, flags)  # type: ignore[misc]
            return
        self.settimeout(exchange.remaining())  # type: ignore[attr-defined]
        exchange.sent = True
        try:
            super().sendall(data, flags)  # type: ignore[misc]
        except OSError as exc:
            raise exchange.translated(exc) from None


class BoundedSocket(_Bounded, socket.socket):
    """A TCP socket whose every wait ends with the exchange."""


class BoundedSSLSocket(_Bounded, ssl.SSLSocket):
    """A TLS socket whose every wait ends with the exchange."""


def tls_context() -> ssl.SSLContext:
    """A context that always verifies, with the system's authorities and certifi's."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_default_certs()
    context.load_verify_locations(certifi.where())
    context.sslsocket_class = BoundedSSLSocket
    return context


class _GuardedConnection(HTTPConnection):
    private_hosts: frozenset[str] | None = frozenset()
    used_at = 0.0

    def _new_conn(self) -> socket.socket:
        exchange = current_exchange()
        return dial(self.host, self.port, self.private_hosts, exchange)

    @property
    def is_connected(self) -> bool:
        return time.monotonic() - self.used_at < IDLE_SECONDS and super().is_connected

    def request(self, *args: Any, **kwargs: Any) -> None:
        self.used_at = time.monotonic()
        if self.sock is None:
            self.connect()
        exchange = current_exchange()
        exchange.holds(self.sock)
        self.sock.exchange = exchange  # type: ignore[attr-defined]
        super().request(*args, **kwargs)


class _GuardedTLSConnection(_GuardedConnection, HTTPSConnection):
    pass


def pool_classes(private_hosts: frozenset[str] | None) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools by scheme, made of connections that dial by these rules."""

    class Connection(_GuardedConnection):
        pass

    class TLSConnection(_GuardedTLSConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class TLSPool(HTTPSConnectionPool):
        ConnectionCls = TLSConnection

    Connection.private_hosts = TLSConnection.private_hosts = private_hosts
    return {"http": Pool, "https": TLSPool}


def dial(
    host: str, port: int, private_hosts: frozenset[str] | None, exchange: Exchange
) -> BoundedSocket:
    """Connect to the first address of the host that may be dialled and answers.

    The name is looked up once, and the address that was checked is the one that is dialled.

    Raises:
        ConnectionFailed: the name has no address, or none answers.
        AddressRefused: every address is one that this site does not dial.
        DeadlineExceeded: the call's time ran out first.
    """
    refusal: AddressRefused | None = None
    reason = ""
    for family, kind, proto, _name, address in _looked_up(host, port, exchange):
        try:
            check_address(str(address[0]), host, port, private_hosts)
        except AddressRefused as exc:
            refusal = refusal or exc
            continue
        sock = BoundedSocket(family, kind, proto)
        exchange.holds(sock)
        try:
            sock.settimeout(min(CONNECT_SECONDS, exchange.remaining()))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(exchange.remaining())  # bounds a TLS handshake that follows
        except BaseException as exc:
            sock.close()
            if not isinstance(exc, OSError):
                raise
            exchange.remaining()
            reason = "no answer" if isinstance(exc, TimeoutError) else _cause(exc)
        else:
            return sock
    if refusal is not None and not reason:
        raise refusal
    raise ConnectionFailed(f"Connection error: {host!r} port {port}: {reason}.")


def _cause(error: OSError) -> str:
    match error:
        case ConnectionRefusedError():
            return "connection refused; is the server running?"
        case _:
            return type(error).__name__


def _looked_up(host: str, port: int, exchange: Exchange) -> list[Any]:
    """The host's addresses; the wait for them is bounded, which `getaddrinfo` alone is not."""
    found: queue.SimpleQueue[list[Any] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as exc:
            found.put(exc if isinstance(exc, OSError) else OSError())

    threading.Thread(target=look_up, name="automate-dns", daemon=True).start()
    try:
        answer = found.get(timeout=min(CONNECT_SECONDS, exchange.remaining()))
    except queue.Empty:
        exchange.remaining()
        answer = OSError()
    if isinstance(answer, OSError):
        raise ConnectionFailed(
            f"Connection error: the name {host!r} has no address. Check the endpoint URL."
        )
    return answer
