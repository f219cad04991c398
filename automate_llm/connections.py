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
from .exceptions import AddressRefused, ConnectionFailed, MCPClientError
from .exchange import Exchange, current_exchange
from .received import Received

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

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        exchange = self.exchange
        if exchange is None:
            return b""
        if _QUICK_ACK is not None:
            self.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)  # type: ignore[attr-defined]
        while True:
            seconds = max(exchange.remaining(), _LEAST_WAIT)
            self.settimeout(seconds)  # type: ignore[attr-defined]
            try:
                data: bytes = super().recv(buflen, flags)  # type: ignore[misc]
                break
            except TimeoutError:
                continue  # the countdown may have been held; else there is no time left now
            except OSError as exc:
                raise exchange.translated(exc) from None
        if not data:
            exchange.remaining()  # the end may be our own doing
        exchange.received(len(data))
        return data

    def sendall(self, data: Any, flags: int = 0) -> None:
        exchange = current_exchange()
        self.settimeout(exchange.remaining())  # type: ignore[attr-defined]
        exchange.sent = True
        try:
            super().sendall(data, flags)  # type: ignore[misc]
        except OSError as exc:
            raise exchange.translated(exc) from None

    def answered(self) -> None:
        """The answer is complete, or given up; the exchange has no more say here."""
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


def tls_context() -> ssl.SSLContext:
    """A context that always verifies, with the system's authorities and certifi's."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_default_certs()
    context.load_verify_locations(certifi.where())
    context.sslsocket_class = BoundedSSLSocket
    return context


class _GuardedConnection(HTTPConnection):
    """A connection of urllib3's pools that writes requests and reads answers by itself.

    The standard library's way takes several times as long, and some answers in two ways.
    """

    private_hosts: frozenset[str] | None = frozenset()
    used_at = 0.0

    def _new_conn(self) -> socket.socket:
        exchange = current_exchange()
        return dial(self.host, self.port, self.private_hosts, exchange)

    @property
    def is_connected(self) -> bool:
        return time.monotonic() - self.used_at < IDLE_SECONDS and super().is_connected

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, **unused: Any
    ) -> None:
        """Send a whole request at once; urllib3 has encoded its address, and `http` looked at the
        headers.
        """
        self.used_at = time.monotonic()
        if self.sock is None:
            self.connect()
        sock: Any = self.sock
        sock.exchange = exchange = current_exchange()
        exchange.holds(sock)
        own = {"Host": self._netloc, "Accept-Encoding": "identity"}
        # One that is spelled in another way takes the place of the one before it.
        named = {name.lower(): (name, value) for name, value in (own | headers).items()}
        lines = [f"{name}: {value}\r\n" for name, value in named.values()]
        head = f"{method} {url} HTTP/1.1\r\n{''.join(lines)}\r\n"
        sock.sendall(head.encode("ascii") + (body or b""))

    def getresponse(self) -> Any:
        """The answer, whose head is read."""
        return Received(self.sock)

    @property
    def _netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == self.default_port else f"{host}:{self.port}"


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
