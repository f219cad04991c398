"""Reads the streamed answers of all models in one thread, however many turns wait for them.

A thread for each answer wakes for each of its words, and with hundreds of them a process does
little else than choose between them. Here a turn's thread sends its request, reads the head of the
answer, and then sleeps until the answer is whole: the reader looks at all connections at once, and
takes from each what has come. Whatever is not the next part of a body goes back to the turn's
thread, which reads on as if there were no reader: the end, a broken chunk, a lost connection.
"""

import os
import select
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

import httpx2

from automate_llm.providers.connection import Connection
from automate_llm.providers.crowd import crowd

IDLE_SECONDS = 1.0
"""After so long without a stream the thread ends."""

PAUSE_IN_A_CROWD = 0.02
"""Seconds between two looks where many answers stream, so that there is more to read at each."""

ARRIVALS_AT_ONCE = 16
"""Threads of a crowd, about, that read the head of their answer at the same time."""

IS_SUPPORTED = selectors.DefaultSelector.__name__ in ("EpollSelector", "KqueueSelector")
"""Whether the system lets one thread wait for connections while another adds to them."""


class Reading:
    """One answer while the reader reads it.

    `take` is given each part of its body, in the reader's thread, and says whether it wants more;
    what it raises ends this reading, and no other.
    """

    def __init__(self, connection: Connection, take: Callable[[bytes], bool]) -> None:
        self._connection = connection
        self._take = take
        # A generator that nobody wants any more may be closed while its own bytes are taken.
        self._lock = threading.RLock()
        self._is_over = False
        self._error: BaseException | None = None
        self._mail: SimpleQueue[str | None] = SimpleQueue()
        self._heard_at = time.monotonic()

    def post(self, text: str) -> None:
        """Wake the thread that waits, with a text for it."""
        self._mail.put(text)

    def texts(self, timeout: float) -> Iterator[str]:
        """What is posted, until the connection is the caller's again.

        Raises:
            httpx2.ReadTimeout: nothing came for so many seconds.
            BaseException: what `take` raised.
        """
        self._connection.socket.settimeout(0)
        # What came together with the head wakes no selector any more.
        self.advance(time.monotonic())
        with self._lock:
            if not self._is_over:
                reader.add(self, self._connection.socket)
        reader.is_in()
        try:
            while (text := self._next(timeout)) is not None:
                yield text
        finally:
            self.end()
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # whose traceback refers to this reading

    def advance(self, now: float) -> None:
        """Take what has come. For the reader."""
        with self._lock:
            if self._is_over:
                return
            try:
                goes_on = self._advance(now)
            except BaseException as exc:  # `texts` raises it, in its own thread
                self._error = exc
                goes_on = False
            if not goes_on:
                self.end()

    def end(self) -> None:
        """When this returns, nothing is taken any more."""
        with self._lock:
            if not self._is_over:
                self._is_over = True
                reader.remove(self, self._connection.socket)
                self._mail.put(None)

    def _advance(self, now: float) -> bool:
        connection = self._connection.socket
        while True:
            payload, goes_on = self._connection.read_now()
            if payload:
                self._heard_at = now
                goes_on = self._take(payload) and goes_on
            # What TLS has decrypted already wakes no selector.
            if not (goes_on and isinstance(connection, ssl.SSLSocket) and connection.pending()):
                return goes_on

    def _next(self, timeout: float) -> str | None:
        while True:
            left = self._heard_at + timeout - time.monotonic()
            try:
                return self._mail.get(timeout=max(0.0, left))
            except Empty:
                if left <= 0:
                    raise httpx2.ReadTimeout("nothing came in time") from None


class Arrival:
    """A thread that waits for the head of its answer.

    Of a thousand whose heads come at once, a few go on at a time: threads that all want to run take
    that from each other, and from the reader, for seconds.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._turn = threading.Lock()
        self._turn.acquire()

    def wait(self, timeout: float | None) -> None:
        """Return when something has come, and it is this thread's turn.

        Raises:
            httpx2.ReadTimeout: nothing came for so many seconds.
        """
        if not self._wait(timeout):
            raise httpx2.ReadTimeout("nothing came in time")

    def _wait(self, timeout: float | None) -> bool:
        if not IS_SUPPORTED:
            return bool(select.select([self._connection], [], [], timeout)[0])
        reader.add(self, self._connection)
        try:
            return self._turn.acquire(timeout=-1 if timeout is None else timeout)
        finally:
            reader.remove(self, self._connection)

    def advance(self, now: float) -> None:
        """Something has come. For the reader."""
        reader.remove(self, self._connection)
        reader.let_in(self)

    def go_on(self) -> None:
        """It is this thread's turn."""
        self._turn.release()


class Reader:
    """The thread, and the connections that it looks at. Thread-safe."""

    def __init__(self) -> None:
        self.forget_all()

    def forget_all(self) -> None:
        """Start anew; a forked process has no thread of its parent's."""
        self._lock = threading.RLock()
        self._selector: selectors.BaseSelector | None = None
        self._line: deque[Arrival] = deque()
        self._inside = 0

    def let_in(self, arrival: Arrival) -> None:
        """Let this thread go on when few others do."""
        with self._lock:
            self._line.append(arrival)
            self._let_in()

    def is_in(self) -> None:
        """A thread has read its head; the next one may. Nothing depends on that it says so."""
        if not self._inside:  # nobody waits, as long as there is no crowd
            return
        with self._lock:
            self._inside = max(0, self._inside - 1)
            self._let_in()

    def _let_in(self) -> None:
        while self._line and self._inside < ARRIVALS_AT_ONCE:
            self._inside += 1
            self._line.popleft().go_on()

    def add(self, reading: Reading | Arrival, connection: socket.socket) -> None:
        """Look at this connection from now on."""
        with self._lock:
            if self._selector is None:
                self._selector = selectors.DefaultSelector()
                threading.Thread(
                    target=self._run, args=(self._selector,), name="automate-reader", daemon=True
                ).start()
            self._selector.register(connection, selectors.EVENT_READ, reading)

    def remove(self, reading: Reading | Arrival, connection: socket.socket) -> None:
        """Look at it no more; nothing changes where it is not looked at."""
        with self._lock:
            if self._selector is None:
                return
            try:
                key = self._selector.get_map().get(connection)
            except ValueError:  # its thread ran out of time meanwhile, and closed it
                return
            if key is not None and key.data is reading:
                self._selector.unregister(connection)

    def _run(self, selector: selectors.BaseSelector) -> None:
        while True:
            ready = selector.select(PAUSE_IN_A_CROWD if self._line else IDLE_SECONDS)
            now = time.monotonic()
            for key, _ in ready:
                key.data.advance(now)
            with self._lock:
                # Threads whose answer was an error never said that they were in.
                self._inside = min(self._inside, ARRIVALS_AT_ONCE - 1) if self._line else 0
                self._let_in()
            if crowd.pause:
                time.sleep(PAUSE_IN_A_CROWD)
            if ready:
                continue
            with self._lock:
                if not self._line and not selector.get_map():
                    self._selector = None
                    selector.close()
                    return


reader = Reader()

os.register_at_fork(after_in_child=reader.forget_all)
