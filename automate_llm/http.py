"""The one door to the network for MCP servers.

Built on requests' adapter without its session, so that what a session adds by itself cannot
happen here: no cookie jar, no `.netrc`, no proxy from the environment, no redirect.
"""

import os
import re
import ssl
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from typing import Any, cast
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest
from urllib3 import HTTPResponse
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import DecodeError, HTTPError
from urllib3.poolmanager import PoolManager

from .connections import pool_classes, tls_context
from .exceptions import (
    ConnectionFailed,
    LimitExceeded,
    MCPClientError,
    ProtocolError,
    UnexpectedStatus,
)
from .exchange import Exchange
from .received import Received
from .values import Connection

MAX_BODY_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
# More than one coding on top of another multiplies what a small answer can cost to unpack.
_PLAIN = ("", "identity")
_CODINGS = (*_PLAIN, "gzip", "x-gzip", "deflate")
# How long the end of an answer that is understood may take, and how much it may be.
_END_SECONDS = 0.05
_END_BYTES = 512 * 1024
_POOLS = 256
_CONNECTIONS_OF_A_POOL = 32
_ADDRESSES_OF_A_SERVER = 16

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# `requests` has errors of its own, all of them `OSError`; a `ValueError` is its word for a bad URL.
_NETWORK_ERRORS = (HTTPError, HTTPException, OSError, ValueError)


class Answer:
    """The head of a server's answer, and its body while it arrives."""

    def __init__(self, raw: Received, exchange: Exchange) -> None:
        self._raw = raw
        self._exchange = exchange
        self.status_code = raw.status
        self.headers: Mapping[str, str] = raw.headers
        self._coding = self.headers.get("Content-Encoding", "").strip().lower()
        if self._coding not in _CODINGS:
            raise ProtocolError("The server's answer is in an unknown coding.", may_have_run=True)
        self._pieces = self._read()

    @property
    def content_type(self) -> str:
        """The media type without its parameters, in small letters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def chunks(self, limit: int = MAX_BODY_BYTES) -> Iterator[bytes]:
        """The body, decompressed, as it arrives.

        Raises:
            LimitExceeded: it is longer than `limit` bytes after decompression.
        """
        size = 0
        while chunk := self._next():
            size += len(chunk)
            self._exchange.unpacked(len(chunk))
            if size > limit:
                raise LimitExceeded(
                    f"The server's answer is longer than {limit:,} bytes.", may_have_run=True
                )
            yield chunk

    def read(self, limit: int = MAX_BODY_BYTES) -> bytes:
        """The whole body, decompressed.

        Raises:
            LimitExceeded: it is longer than `limit` bytes after decompression.
        """
        return b"".join(self.chunks(limit))

    def finish(self) -> None:
        """Read what is left of a body that is understood, so that its connection can be kept.

        Where the end does not come at once, it is not waited for.
        """
        with suppress(MCPClientError), self._exchange.within(_END_SECONDS):
            left = _END_BYTES
            while left > 0 and (piece := self._next()):
                left -= len(piece)

    def close(self) -> None:
        """Give up what is left of the body, and its connection."""
        self._raw.close()

    def _next(self) -> bytes:
        try:
            return next(self._pieces, b"")
        except _NETWORK_ERRORS as exc:
            raise _translated(exc, self._exchange) from None

    def _read(self) -> Iterator[bytes]:
        if self._coding in _PLAIN:
            return iter(self._raw.read1, b"")
        unpacked = HTTPResponse(
            self._raw, {"Content-Encoding": self._coding}, 200, preload_content=False
        )
        return iter(partial(unpacked.read1, _CHUNK_BYTES, decode_content=True), b"")


@contextmanager
def send(
    connection: Connection,
    exchange: Exchange,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> Iterator[Answer]:
    """Send one request, once, and give its answer; leaving the block early closes the connection.

    Raises:
        ConnectionFailed, AddressRefused, DeadlineExceeded, CallCancelled, LimitExceeded,
        ProtocolError: see `exceptions`; none of them quotes what the server sent.
    """
    request: Any = PreparedRequest()
    request.method, request.url, request.body = method, url, body
    request.headers = dict(headers)
    if body is not None:
        request.headers["Content-Length"] = str(len(body))
    for name, value in headers.items():
        if not (_TOKEN.fullmatch(name) and value.isascii() and value.isprintable()):
            raise MCPClientError("A credential has characters that no header may carry.")
    exchange.begin_request()
    with exchange.current():
        try:
            raw = cast(Received, _adapter(connection).send(request))
        except _NETWORK_ERRORS as exc:
            raise _translated(exc, exchange) from None
        exchange.begin_body()
        try:
            answer = Answer(raw, exchange)
            yield answer
            if not raw.is_closed:
                answer.finish()
        finally:
            raw.close()


def refuse_status(answer: Answer) -> None:
    """Raise unless the answer is a success.

    Raises:
        UnexpectedStatus: with the words "HTTP <status>" and what an operator can do.
    """
    status = answer.status_code
    if 200 <= status < 300:
        return
    advice = _ADVICE.get(status) or (
        "redirects are not followed; enter the final address."
        if 300 <= status < 400
        else "the server failed; see its log."
        if status >= 500
        else "the server refused the request."
    )
    # A refusal came before any work. After 5xx, 408 and interim answers nobody knows, and 303
    # is what a server says when it has done the work and shows its result elsewhere.
    unknown = status >= 500 or status < 200 or status in (303, 408)
    raise UnexpectedStatus(f"HTTP {status}: {advice}", status, may_have_run=unknown)


_ADVICE = {
    400: "the server did not understand the request; check the protocol and the endpoint URL.",
    401: "the server wants a valid credential; check authentication and secret.",
    403: "the credential is not allowed to do this.",
    404: "nothing is at this address; check the endpoint URL and the protocol.",
    405: "this address does not take such requests; check the endpoint URL and the protocol.",
    429: "the server asks for fewer requests; try again later.",
}


class _Adapter(HTTPAdapter):
    """requests' adapter over guarded connections, without what is made anew for each request."""

    def __init__(self, private_hosts: frozenset[str] | None) -> None:
        self._private_hosts = private_hosts
        self._pools: dict[str, ConnectionPool] = {}
        super().__init__(pool_maxsize=_CONNECTIONS_OF_A_POOL)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        self.poolmanager = PoolManager(
            num_pools=4, maxsize=_CONNECTIONS_OF_A_POOL, block=False, ssl_context=_tls()
        )
        self.poolmanager.pool_classes_by_scheme = pool_classes(self._private_hosts)

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *args: Any, **kwargs: Any
    ) -> ConnectionPool:
        """The pool for this address, looked up once: urllib3 hashes a long key each time."""
        url = request.url or ""
        found = self._pools.get(url)
        if found is None:
            found = super().get_connection_with_tls_context(request, *args, **kwargs)
            if len(self._pools) >= _ADDRESSES_OF_A_SERVER:
                self._pools.clear()
            self._pools[url] = found
        return found

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing to do: the pool's own context verifies, always."""

    def build_response(self, req: PreparedRequest, resp: Any) -> Any:
        """urllib3's own answer: requests' would add cookies and decoding to it."""
        return resp


@dataclass(slots=True)
class _Shared:
    lock: threading.Lock
    adapters: OrderedDict[tuple[str, str, frozenset[str] | None], _Adapter]
    tls: ssl.SSLContext | None


_shared = _Shared(threading.Lock(), OrderedDict(), None)


def _adapter(connection: Connection) -> _Adapter:
    """The connection pool of this server in this process."""
    key = (connection.slug, connection.endpoint_url, connection.private_hosts)
    with _shared.lock:
        adapter = _shared.adapters.get(key)
        if adapter is None:
            _refuse_url(connection.endpoint_url)
            adapter = _shared.adapters[key] = _Adapter(connection.private_hosts)
            if len(_shared.adapters) > _POOLS:
                _shared.adapters.popitem(last=False)[1].close()
        else:
            _shared.adapters.move_to_end(key)
    return adapter


def _refuse_url(url: str) -> None:
    """Raise where the endpoint is no plain http or https address; the message does not quote it.

    Raises:
        MCPClientError: with what is wrong.
    """
    try:
        parts = urlsplit(url)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        plain = False
    if not plain:
        raise MCPClientError("The endpoint URL is no http or https address.")
    if "@" in parts.netloc:
        raise MCPClientError("The endpoint URL holds a user name; use the secret field for that.")


def _tls() -> ssl.SSLContext:
    if _shared.tls is None:
        _shared.tls = tls_context()
    return _shared.tls


def close_pools() -> None:
    """Close every idle connection of this process."""
    with _shared.lock:
        adapters = list(_shared.adapters.values())
        _shared.adapters.clear()
    for adapter in adapters:
        adapter.close()


def _after_fork() -> None:
    # A child must not write on its parent's connections; it leaves them unclosed and forgets.
    _shared.lock = threading.Lock()
    _shared.adapters = OrderedDict()


os.register_at_fork(after_in_child=_after_fork)


def _translated(error: Exception, exchange: Exchange) -> ConnectionFailed | ProtocolError:
    cause: BaseException = error
    while cause.__context__ is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__context__
    if isinstance(error, DecodeError):
        return ProtocolError("The server's answer cannot be decompressed.", may_have_run=True)
    if exchange.sent and isinstance(cause, OSError):
        return ConnectionFailed(
            "Connection error: the server closed the connection before its answer was complete.",
            may_have_run=True,
        )
    if exchange.sent:
        return ProtocolError("The server's answer is broken, or is not HTTP.", may_have_run=True)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ConnectionFailed(
            f"Connection error: the server's certificate does not hold ({cause.verify_message}).",
            cause="certificate",
            verify_code=cause.verify_code,
        )
    if isinstance(cause, ssl.SSLError):
        return ConnectionFailed("Connection error: no TLS connection could be made.", cause="tls")
    return ConnectionFailed(f"Connection error: {type(cause).__name__}.")
