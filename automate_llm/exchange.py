"""One call's hold on the network: its deadline, its cancellation, and what it has sent so far."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .cancellation import Cancellation
from .exceptions import CallCancelled, DeadlineExceeded, LimitExceeded, MCPClientError

MAX_HEADER_BYTES = 64 * 1024
# A buffered reader asks for more than the headers; what it read ahead is body, not header.
_READ_AHEAD_BYTES = 128 * 1024


class Exchange:
    """Bounds everything that one call does on the network, however many requests it makes.

    Sockets ask it before each wait and tell it after. It belongs to one thread; only `cancel`,
    through the `Cancellation`, comes from others.
    """

    def __init__(self, seconds: float, cancellation: Cancellation | None = None) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._cancellation = cancellation
        self._socket: socket.socket | None = None
        self.sent = False
        self.reading_headers = False
        self._header_bytes = 0

    def remaining(self) -> float:
        """Seconds that are left.

        Raises:
            DeadlineExceeded: none are.
            CallCancelled: somebody stopped the call.
        """
        if self._cancellation is not None and self._cancellation.cancelled:
            raise CallCancelled("The call was stopped.", may_have_run=self.sent)
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.timed_out()
        return left

    def timed_out(self) -> DeadlineExceeded:
        """The error that says that the deadline passed."""
        return DeadlineExceeded(
            f"No complete answer within {self.seconds:g} s. The server may be slow or stuck; "
            "its time limit can be raised.",
            may_have_run=self.sent,
        )

    def begin_request(self) -> None:
        """A new request starts: nothing of it is sent, and its answer's headers come first."""
        self.sent = False
        self.reading_headers = True
        self._header_bytes = 0

    def received(self, size: int) -> None:
        """Count bytes that arrived before the answer's headers were complete.

        Raises:
            LimitExceeded: they are more than any sensible header block.
        """
        if self.reading_headers:
            self._header_bytes += size
            if self._header_bytes > MAX_HEADER_BYTES + _READ_AHEAD_BYTES:
                raise LimitExceeded(
                    "The server's answer has too large a header.", may_have_run=self.sent
                )

    def translated(self, error: OSError) -> MCPClientError | OSError:
        """The error that a failed wait on a socket really means."""
        if self._cancellation is not None and self._cancellation.cancelled:
            return CallCancelled("The call was stopped.", may_have_run=self.sent)
        if isinstance(error, TimeoutError):
            return self.timed_out()
        return error

    def holds(self, sock: socket.socket) -> None:
        """This is the socket that a cancellation must shut."""
        self._socket = sock

    def _shut(self) -> None:
        if (sock := self._socket) is not None:
            # The other thread may have closed it in the meantime, which is as good.
            with suppress(OSError, ValueError):
                sock.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def current(self) -> Iterator[None]:
        """While the block runs, this thread's connections are bound to this exchange."""
        forget = self._cancellation.on_cancel(self._shut) if self._cancellation else None
        before = getattr(_thread, "exchange", None)
        _thread.exchange = self
        try:
            yield
        finally:
            _thread.exchange = before
            self._socket = None
            if forget is not None:
                forget()


_thread = threading.local()


def current_exchange() -> Exchange:
    """The exchange that this thread's call is bound to."""
    exchange: Exchange = _thread.exchange
    return exchange
