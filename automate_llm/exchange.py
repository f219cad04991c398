"""One call's hold on the network: its deadline, its cancellation, and what it has sent so far."""

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

from .cancellation import Cancellation
from .countdown import Countdown
from .exceptions import CallCancelled, DeadlineExceeded, LimitExceeded, MCPClientError

MAX_HEADER_BYTES = 64 * 1024
MAX_WIRE_BYTES = 8 * 1024 * 1024
"""One answer as it comes over the wire, its framing included."""
MAX_CONTENT_BYTES = 16 * 1024 * 1024
"""All bodies of one call together, decompressed: a list of tools has up to 50 pages."""

# A reader asks for more than the headers; what it read ahead is body, not header.
READ_AHEAD_BYTES = 16 * 1024


class Exchange:
    """Bounds everything that one call does on the network, however many requests it makes.

    Sockets ask it before each wait and tell it after. It belongs to one thread; only `cancel`,
    through the `Cancellation`, and the `countdown` come from others.
    """

    def __init__(
        self,
        seconds: float,
        cancellation: Cancellation | None = None,
        countdown: Countdown | None = None,
    ) -> None:
        self.seconds = seconds
        self.sent = False
        self.countdown = countdown or Countdown(seconds)
        self._end = math.inf
        self._cancellation = cancellation
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._received = 0
        self._receivable = 0
        self._content = 0

    def remaining(self) -> float:
        """Seconds that are left.

        Raises:
            DeadlineExceeded: none are.
            CallCancelled: somebody stopped the call.
        """
        if self._cancellation is not None and self._cancellation.cancelled:
            raise CallCancelled("The call was stopped.", may_have_run=self.sent)
        left = min(self.countdown.left(), self._end - time.monotonic())
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

    def pause(self, seconds: float) -> None:
        """Wait, with nothing under way, until the time is over or somebody stops the call.

        Raises:
            DeadlineExceeded: the deadline comes before the pause's end; it is then not waited for.
            CallCancelled: somebody stopped the call.
        """
        if seconds >= self.remaining():
            raise self.timed_out()
        stopped = threading.Event()
        forget = self.on_cancel(stopped.set)
        try:
            stopped.wait(seconds)
        finally:
            forget()
        self.remaining()

    def wait_for(self, work: Future[Any]) -> None:
        """Wait until another thread's work is done, well or not.

        Raises:
            DeadlineExceeded, CallCancelled: it was not done by then.
        """
        woken = threading.Event()
        work.add_done_callback(lambda done: woken.set())
        forget = self.on_cancel(woken.set)
        try:
            while not woken.wait(self.remaining()):
                pass  # the countdown may have been held
        finally:
            forget()
        self.remaining()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """In the block the deadline is at most so many seconds away."""
        end = self._end
        self._end = min(end, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._end = end

    def beside(self, cancellation: Cancellation | None = None) -> "Exchange":
        """For a request that is made while another one's answer is still being read.

        It has the same deadline and the same cancellation, or this one, and counts for itself.
        """
        self.remaining()
        return Exchange(self.seconds, cancellation or self._cancellation, self.countdown)

    def begin_request(self) -> None:
        """A new request starts: nothing of it is sent, and its answer's headers come first."""
        self.sent = False
        self._received = 0
        self._receivable = MAX_HEADER_BYTES + READ_AHEAD_BYTES

    def begin_body(self) -> None:
        """The answer's headers are complete."""
        self._receivable = MAX_WIRE_BYTES

    def received(self, size: int) -> None:
        """Count bytes that arrived.

        Raises:
            LimitExceeded: they are more than any sensible header block, or body.
        """
        self._received += size
        if self._received > self._receivable:
            raise LimitExceeded("The server's answer is too large.", may_have_run=self.sent)

    def unpacked(self, size: int) -> None:
        """Count bytes of content, after decompression.

        Raises:
            LimitExceeded: all answers together have too many.
        """
        self._content += size
        if self._content > MAX_CONTENT_BYTES:
            raise LimitExceeded("The server's answers are too large.", may_have_run=self.sent)

    def translated(self, error: OSError) -> MCPClientError | OSError:
        """The error that a failed wait on a socket really means."""
        if self._cancellation is not None and self._cancellation.cancelled:
            return CallCancelled("The call was stopped.", may_have_run=self.sent)
        if isinstance(error, TimeoutError):
            return self.timed_out()
        return error

    def holds(self, sock: socket.socket) -> None:
        """This is the socket that a cancellation must shut."""
        with self._lock:
            self._socket = sock

    def lets_go(self) -> None:
        """The socket may belong to another call from now on."""
        with self._lock:
            self._socket = None

    def on_cancel(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Run `callback` when the call is stopped; returns a function that takes it back."""
        return self._cancellation.on_cancel(callback) if self._cancellation else lambda: None

    def _shut(self) -> None:
        with self._lock:
            if self._socket is not None:
                # Not the TLS socket's own `shutdown`, which would first make it a plain one.
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    @contextmanager
    def current(self) -> Iterator[None]:
        """While the block runs, this thread's connections are bound to this exchange."""
        forget = self.on_cancel(self._shut)
        before = getattr(_thread, "exchange", None)
        _thread.exchange = self
        try:
            yield
        finally:
            _thread.exchange = before
            self.lets_go()
            forget()


_thread = threading.local()


def current_exchange() -> Exchange:
    """The exchange that this thread's call is bound to."""
    exchange: Exchange = _thread.exchange
    return exchange


@contextmanager
def running_no_tool() -> Iterator[None]:
    """Whatever fails in the block, no tool has run: it only reads."""
    try:
        yield
    except MCPClientError as exc:
        exc.may_have_run = False
        raise
