"""Signatures: what proves a client (RFC 7523) and the holder of a token (RFC 9449).

PyJWT and cryptography come with the extra `oauth` and are loaded at the first signature.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from automate_llm.exceptions import AuthorizationFailed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from jwt.algorithms import AllowedPrivateKeys

DPOP_ALGORITHM = "ES256"
_ASSERTION_SECONDS = 120
_EC_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


def client_assertion(client_id: str, audience: str, private_key: str, algorithm: str) -> str:
    """A JWT by which a client proves itself to an issuer, good for two minutes.

    Source: RFC 7523, section 3; the audience is the issuer, as its revision wants.

    Raises:
        AuthorizationFailed: the key cannot sign.
    """
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": now,
        "exp": now + _ASSERTION_SECONDS,
        "jti": secrets.token_urlsafe(24),
    }
    key = _private_key(private_key)
    return _signed(claims, key, algorithm or _algorithm_of(key), {})


def new_dpop_key() -> str:
    """A private key (PEM) for one token."""
    libraries = _libraries()
    form = libraries.serialization
    key = libraries.ec.generate_private_key(libraries.ec.SECP256R1())
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    return str(pem, "ascii")


def dpop_proof(private_key: str, method: str, url: str, *, nonce: str, access_token: str) -> str:
    """A fresh proof for one request. Source: RFC 9449, section 4.2."""
    parts = urlsplit(url)
    claims = {
        "jti": secrets.token_urlsafe(24),
        "htm": method,
        "htu": f"{parts.scheme}://{parts.netloc}{parts.path}",
        "iat": int(time.time()),
    }
    if nonce:
        claims["nonce"] = nonce
    if access_token:
        claims["ath"] = encoded(hashlib.sha256(access_token.encode()).digest())
    key: EllipticCurvePrivateKey = _private_key(private_key)
    public = _libraries().jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return _signed(claims, key, DPOP_ALGORITHM, {"typ": "dpop+jwt", "jwk": public})


def encoded(data: bytes) -> str:
    """Base64 for URLs, without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class _Libraries:
    """What the extra `oauth` brings."""

    def __init__(self) -> None:
        import jwt
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

        self.jwt, self.serialization = jwt, serialization
        self.ec, self.ed25519, self.rsa = ec, ed25519, rsa


def _libraries() -> _Libraries:
    try:
        return _Libraries()
    except ImportError:
        raise AuthorizationFailed(
            "This authorization needs signatures: install django-automate[oauth]."
        ) from None


def _private_key(pem: str) -> Any:
    libraries = _libraries()
    try:
        return libraries.serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise AuthorizationFailed("The client's private key is no PEM key.") from None


def _algorithm_of(key: Any) -> str:
    libraries = _libraries()
    match key:
        case libraries.ec.EllipticCurvePrivateKey() if key.curve.name in _EC_ALGORITHMS:
            return _EC_ALGORITHMS[key.curve.name]
        case libraries.rsa.RSAPrivateKey():
            return "RS256"
        case libraries.ed25519.Ed25519PrivateKey():
            return "EdDSA"
    raise AuthorizationFailed("The client's private key is of a kind that cannot sign here.")


def _signed(
    claims: Mapping[str, Any], key: "AllowedPrivateKeys", algorithm: str, header: dict[str, Any]
) -> str:
    jwt = _libraries().jwt
    try:
        return str(jwt.encode(dict(claims), key, algorithm=algorithm, headers=header))
    except (jwt.PyJWTError, NotImplementedError, TypeError, ValueError):
        raise AuthorizationFailed(
            f"The client's private key cannot sign with the algorithm {algorithm!r}."
        ) from None
