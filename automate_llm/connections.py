"""Connections that keep to an exchange's deadline, and dial only checked addresses."""

import io
import queue
import socket
import ssl
import threading
import time
from functools import partial
from http.client import HTTPException, HTTPMessage, HTTPResponse, RemoteDisconnected
from typing import Any

import certifi
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

from .addresses import check_address
from .exceptions import AddressRefused, ConnectionFailed, MCPClientError
from .exchange import READ_AHEAD_BYTES, Exchange, current_exchange
from .http_head import BadAnswer, HeadParser

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 4.0
"""A kept connection older than this is not used again: most servers close theirs after five
seconds, and a request that meets the closing one is a call whose outcome nobody knows."""

# A server that writes its head and its body apart, with Nagle's algorithm on, waits for our
# acknowledgement in between: 40 ms of every call, unless it goes out at once (Linux only).
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)

# While a call's countdown is held, what is left of it may be next to nothing.
_LEAST_WAIT = 0.02


class _Bounded:
    """What a plain and a TLS socket share: every wait ends with the exchange.

    Outside an exchange nothing is read: there is no answer to wait for.
    """

    exchange: Exchange | None = None
    surplus = False

    def recv_into(self, buffer: Any, nbytes: Any = 0, flags: int = 0) -> int:
        exchange = self.exchange
        if exchange is None:
            return 0
        if _QUICK_ACK is not None:
            self.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)  # type: ignore[attr-defined]
        while True:
            seconds = max(exchange.remaining(), _LEAST_WAIT)
            self.settimeout(seconds)  # type: ignore[attr-defined]
            try:
                size: int = super().recv_into(buffer, nbytes, flags)  # type: ignore[misc]
                break
            except TimeoutError:
                continue  # the countdown may have been held; else there is no time left now
            except OSError as exc:
                raise exchange.translated(exc) from None
        if not size:
            exchange.remaining()  # the end may be our own doing
        exchange.received(size)
        return size

    def sendall(self, data: Any, flags: int = 0) -> None:
        exchange = current_exchange()
        self.settimeout(exchange.remaining())  # type: ignore[attr-defined]
        exchange.sent = True
        try:
            super().sendall(data, flags)  # type: ignore[misc]
        except OSError as exc:
            raise exchange.translated(exc) from None

    def makefile(self, *args: Any, **kwargs: Any) -> Any:
        """The reader of one answer; http.client asks for no other file."""
        return _Reader(self)

    def answered(self, *, surplus: bool) -> None:
        """The answer is complete, or given up; the exchange has no more say here."""
        self.surplus = self.surplus or surplus
        if self.exchange is not None:
            self.exchange.lets_go()
            self.exchange = None


class BoundedSocket(_Bounded, socket.socket):
    """A TCP socket whose every wait ends with the exchange."""


class BoundedSSLSocket(_Bounded, ssl.SSLSocket):
    """A TLS socket whose every wait ends with the exchange."""

    def do_handshake(self, block: bool = False) -> None:
        exchange = current_exchange()
        exchange.holds(self)  # the TCP socket that it grew out of is no more
        try:
            self.settimeout(exchange.remaining())
            super().do_handshake(block)
        except OSError as exc:
            self.close()
            raise exchange.translated(exc) from None
        except MCPClientError:
            self.close()
            raise

    def send(self, data: Any, flags: int = 0) -> int:
        """Send a part; `sendall` comes here for each, and may not start its time anew."""
        self.settimeout(current_exchange().remaining())
        return super().send(data, flags)


class _Reader(io.BufferedReader):
    """Reads one answer, and notes what came behind it."""

    def __init__(self, sock: Any) -> None:
        self._bounded: _Bounded = sock
        sock._io_refs += 1  # as `socket.makefile` does: the file keeps the socket open
        super().__init__(socket.SocketIO(sock, "r"), READ_AHEAD_BYTES)

    def close(self) -> None:
        if not self.closed:
            self._bounded.answered(surplus=False)
            # Now a look into the buffer cannot become a wait.
            self._bounded.answered(surplus=bool(self.peek()))
        super().close()


class _StrictResponse(HTTPResponse):
    """An answer whose head has one meaning only."""

    def begin(self) -> None:
        """Read the head.

        Raises:
            RemoteDisconnected: the connection ended before it did.
            HTTPException: it is not what it should be.
        """
        head = HeadParser()
        try:
            for part in iter(partial(self.fp.readline, READ_AHEAD_BYTES), b""):
                head.feed(part)
                if head.has_head:
                    break
            else:
                raise RemoteDisconnected("the connection ended before the answer's head did")
        except BadAnswer:
            raise HTTPException from None
        finally:
            head.give_up()
        self.version = 11 if head.version == "1.1" else 10
        self.code = self.status = head.status
        self.reason = head.reason
        self.headers = self.msg = HTTPMessage()
        for name, value in head.headers:
            self.headers[name.decode("latin-1")] = value.decode("latin-1")
        self.chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        length = self.headers.get("content-length")
        self.length = 0 if self.status in (204, 304) else int(length) if length else None
        endless = self.length is None and not self.chunked
        self.will_close = endless or not head.keeps_connection


def tls_context() -> ssl.SSLContext:
    """A context that always verifies, with the system's authorities and certifi's."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_default_certs()
    context.load_verify_locations(certifi.where())
    context.sslsocket_class = BoundedSSLSocket
    return context


class _GuardedConnection(HTTPConnection):
    private_hosts: frozenset[str] | None = frozenset()
    response_class = _StrictResponse
    used_at = 0.0
    _unsent: list[bytes] | None = None

    def _new_conn(self) -> socket.socket:
        exchange = current_exchange()
        return dial(self.host, self.port, self.private_hosts, exchange)

    @property
    def is_connected(self) -> bool:
        fresh = time.monotonic() - self.used_at < IDLE_SECONDS
        return fresh and not getattr(self.sock, "surplus", True) and super().is_connected

    def request(self, *args: Any, **kwargs: Any) -> None:
        self.used_at = time.monotonic()
        if self.sock is None:
            self.connect()
        exchange = current_exchange()
        exchange.holds(self.sock)
        self.sock.exchange = exchange  # type: ignore[union-attr]
        self._unsent = []
        super().request(*args, **kwargs)
        parts, self._unsent = self._unsent, None
        self.send(b"".join(parts))

    def send(self, data: Any) -> None:
        """Send it; a request's head waits for its body, so that both go out at once."""
        if self._unsent is None:
            super().send(data)
        else:
            self._unsent.append(data)


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
    reason, refused = "", False
    for family, kind, proto, _name, address in _looked_up(host, port, exchange):
        try:
            check_address(str(address[0]), host, port, private_hosts)
        except AddressRefused as exc:
            refusal = refusal or exc
            continue
        try:
            return _connected(BoundedSocket(family, kind, proto), address, exchange)
        except OSError as exc:  # this family or address is out of reach; another may not be
            exchange.remaining()
            reason = "no answer" if isinstance(exc, TimeoutError) else _cause(exc)
            refused = isinstance(exc, ConnectionRefusedError)
    if refusal is not None and not reason:
        raise refusal
    raise ConnectionFailed(
        f"Connection error: {host!r} port {port}: {reason}.", cause="refused" if refused else ""
    )


def _connected(sock: BoundedSocket, address: Any, exchange: Exchange) -> BoundedSocket:
    exchange.holds(sock)
    try:
        sock.settimeout(min(CONNECT_SECONDS, exchange.remaining()))
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        exchange.remaining()
    except BaseException:  # whatever it is, nobody else knows the socket
        sock.close()
        raise
    return sock


def _cause(error: OSError) -> str:
    match error:
        case ConnectionRefusedError():
            return "connection refused (is the server running?)"
        case _:
            return type(error).__name__


def _looked_up(host: str, port: int, exchange: Exchange) -> list[Any]:
    """The host's addresses; the wait for them is bounded, which `getaddrinfo` alone is not."""
    found: queue.SimpleQueue[list[Any] | OSError] = queue.SimpleQueue()

    def look_up(flags: int = 0) -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))
        except (OSError, UnicodeError) as exc:
            found.put(exc if isinstance(exc, OSError) else OSError())

    why = "has no address. Check the endpoint URL."
    try:
        threading.Thread(target=look_up, name="automate-dns", daemon=True).start()
    except RuntimeError:  # Python 3.12 and later start none as they end; a name could take long
        why = "could not be looked up, since no thread can be started."
        look_up(socket.AI_NUMERICHOST)
    forget = exchange.on_cancel(lambda: found.put(OSError()))
    try:
        answer = found.get(timeout=min(CONNECT_SECONDS, exchange.remaining()))
    except queue.Empty:
        answer = OSError()
    finally:
        forget()
    exchange.remaining()
    if isinstance(answer, OSError):
        raise ConnectionFailed(
            f"Connection error: the name {host!r} {why}",
            cause="name",
        )
    return answer
