"""Requests and answers over one process's standard streams, told apart by their ids."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from automate_llm import strict_json
from automate_llm.exceptions import (
    CallCancelled,
    DeadlineExceeded,
    LimitExceeded,
    MCPClientError,
    ProtocolError,
)
from automate_llm.exchange import Exchange
from automate_llm.processes import End, Line, Process, end_processes
from automate_llm.values import StdioCommand

from . import jsonrpc

MAX_RUBBISH = 100
"""Lines in a row that are no messages; a server that prints more is ended."""
MAX_UNASKED = 10_000
"""Messages in a row that answer no request."""
_MAX_BACKLOG = 1_000
_MAX_KEPT_NOTIFICATIONS = 1_000
_MAX_NOTIFICATION_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A message for one request, and how many bytes it came in."""

    message: dict[str, Any]
    size: int


# `None` only wakes: the exchange then says why.
_Inbox = queue.SimpleQueue[_Arrived | MCPClientError | None]


@dataclass(slots=True, eq=False)
class Pending:
    """A request that is under way; one that `listens` gets what the server says unasked, too."""

    id: int
    line: Line
    listens: bool = False
    inbox: _Inbox = field(default_factory=queue.SimpleQueue)

    def keep(self, notification: _Arrived) -> None:
        """Hand over a notification, unless it is huge or nobody takes those that wait."""
        if notification.size > _MAX_NOTIFICATION_BYTES:
            return
        if self.inbox.qsize() < _MAX_KEPT_NOTIFICATIONS:
            self.inbox.put(notification)


class Channel:
    """Starts a command and speaks JSON-RPC with it. Thread-safe; no lock is held over a wait.

    `declines` is set for the versions in which a server may ask the client for something: pings
    are then answered, everything else is declined. A modern server is never answered.

    Raises:
        ConnectionFailed: the command cannot be started.
    """

    def __init__(self, command: StdioCommand, on_end: Callable[[Process], object]) -> None:
        self.declines = False
        self._on_end = on_end
        self._lock = threading.Lock()
        self._pending: dict[int, Pending] = {}
        self._retired = False
        self._rubbish = 0
        self._unasked = 0
        self.process = Process(command)
        self.process.serve(self._take, self._fail_all)

    @property
    def end(self) -> End | None:
        """Why it is of no more use; nothing while it is."""
        return self.process.end

    def request(
        self,
        exchange: Exchange,
        method: str,
        params: dict[str, Any],
        *,
        request_id: int | None = None,
        on_notification: jsonrpc.OnNotification | None = None,
    ) -> jsonrpc.Response:
        """Send a request and wait for its answer, until the exchange says stop.

        The server is then told that nobody waits any more.

        Raises:
            MCPClientError: `may_have_run` says whether the server may have read the request.
        """
        with self.asking(exchange, method, params, request_id=request_id) as pending:
            try:
                return self.answer(exchange, pending, on_notification)
            except (CallCancelled, DeadlineExceeded) as exc:
                exc.may_have_run = not self.process.withdraw(pending.line)
                if exc.may_have_run:
                    self.notify("notifications/cancelled", {"requestId": pending.id})
                raise

    @contextmanager
    def asking(
        self,
        exchange: Exchange,
        method: str,
        params: dict[str, Any],
        *,
        request_id: int | None = None,
    ) -> Iterator[Pending]:
        """While the block runs, a request is under way and its answer can arrive.

        Raises:
            MCPClientError: the process has ended.
        """
        exchange.begin_request()
        exchange.remaining()
        request_id = jsonrpc.next_id() if request_id is None else request_id
        body = jsonrpc.encoded(method, params, request_id)
        with self._lock:
            if (end := self.process.end) is not None:
                raise end.error()
            self._unasked = 0
            pending = Pending(request_id, self.process.send(body + b"\n"))
            self._pending[request_id] = pending
        try:
            yield pending
        finally:
            self._forget(pending)

    def listen(
        self,
        exchange: Exchange,
        on_notification: jsonrpc.OnNotification,
        subscription: dict[str, Any] | None = None,
    ) -> None:
        """Hand over every notification that belongs to no request, until the exchange says stop.

        A modern server says something only for a `subscription`, which are the parameters of
        `subscriptions/listen`; it may end that in peace.

        Raises:
            MCPClientError: the process ended, or refused.
        """
        if subscription is None:
            with self._lock:
                if (end := self.process.end) is not None:
                    raise end.error()
                pending = Pending(jsonrpc.next_id(), Line(b"", left=True), listens=True)
                self._pending[pending.id] = pending
            try:
                self.answer(exchange, pending, on_notification)
            finally:
                self._forget(pending)
            return
        with self.asking(exchange, "subscriptions/listen", subscription) as pending:
            pending.listens = True
            try:
                self.answer(exchange, pending, on_notification).unwrap()
            except (CallCancelled, DeadlineExceeded):
                self.notify("notifications/cancelled", {"requestId": pending.id})
                raise

    def _forget(self, pending: Pending) -> None:
        with self._lock:
            self._pending.pop(pending.id, None)
            unused = self._retired and self._is_idle()
        if unused:
            self._end_in_peace()

    def _is_idle(self) -> bool:
        """Whether no call is under way; those who only listen keep no process alive."""
        return all(pending.listens for pending in self._pending.values())

    def answer(
        self,
        exchange: Exchange,
        pending: Pending,
        on_notification: jsonrpc.OnNotification | None = None,
    ) -> jsonrpc.Response:
        """Wait for the answer to this request; its notifications are handed over before.

        Raises:
            MCPClientError: the time is up, somebody stopped it, or the process ended.
        """
        forget = exchange.on_cancel(lambda: pending.inbox.put(None))
        try:
            while True:
                arrived = _next(exchange, pending)
                exchange.unpacked(arrived.size)
                message = arrived.message
                if "method" not in message:
                    return jsonrpc.response_in(message)
                if on_notification is not None:
                    on_notification(str(message["method"]), message["params"])
        finally:
            forget()

    def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification, unless the server has long stopped reading."""
        self._send(jsonrpc.encoded(method, params, None))

    def retire(self) -> None:
        """No new request comes; it is asked to end when those under way are through."""
        with self._lock:
            self._retired = True
            unused = self._is_idle()
        if unused:
            self._end_in_peace()

    def _end_in_peace(self) -> None:
        threading.Thread(target=end_processes, args=([self.process],), daemon=True).start()

    def _send(self, body: bytes) -> None:
        if self.process.backlog < _MAX_BACKLOG:
            self.process.send(body + b"\n")

    def _take(self, line: bytes) -> None:
        """Sort out one line that the process printed."""
        if not line.strip():
            return
        try:
            message = strict_json.loads(line)
        except LimitExceeded as exc:
            self._for_the_only_one(exc)
            self._count_rubbish()
            return
        except ProtocolError:
            self._count_rubbish()
            return
        for each in message if isinstance(message, list) else [message]:
            if isinstance(each, dict) and each.get("jsonrpc") == "2.0":
                self._rubbish = 0
                self._dispatch(each, len(line))
            else:
                self._count_rubbish()

    def _dispatch(self, message: dict[str, Any], size: int) -> None:
        if "method" not in message:
            self._answered(_Arrived(message, size))
            return
        with self._lock:
            self._unasked += 1
            too_many = self._unasked > MAX_UNASKED
        if too_many:
            text = f"The server's command sent {MAX_UNASKED:,} messages that nobody asked for."
            self.process.fail(End(LimitExceeded, text))
        elif "id" in message:
            if self.declines:
                self._send(jsonrpc.encoded_reply(message))
        elif isinstance(params := message.setdefault("params", {}), dict):
            pending = self._waiting(params.get("progressToken"))
            for each in [pending] if pending is not None else self._listening():
                each.keep(_Arrived(message, size))

    def _answered(self, arrived: _Arrived) -> None:
        answered = arrived.message.get("id")
        if answered is None and "error" in arrived.message:
            # The server could not read the id of what it refuses (JSON-RPC 2.0, section 5).
            self._for_the_only_one(arrived)
        elif (pending := self._waiting(answered)) is not None:
            with self._lock:
                self._unasked = 0
            pending.inbox.put(arrived)

    def _listening(self) -> list[Pending]:
        with self._lock:
            return [pending for pending in self._pending.values() if pending.listens]

    def _waiting(self, request_id: object) -> Pending | None:
        if not isinstance(request_id, int) or isinstance(request_id, bool):
            return None
        with self._lock:
            return self._pending.get(request_id)

    def _for_the_only_one(self, arrived: _Arrived | MCPClientError) -> None:
        """Hand over what names no request, where one request only can be meant."""
        with self._lock:
            meant = [pending for pending in self._pending.values() if not pending.listens]
        if len(meant) == 1:
            meant[0].inbox.put(arrived)

    def _count_rubbish(self) -> None:
        self._rubbish += 1
        if self._rubbish > MAX_RUBBISH:
            self.process.fail(
                End(
                    ProtocolError,
                    f"The server's command printed {MAX_RUBBISH} lines that are no messages. Only "
                    "MCP messages may go to its standard output; logs belong on standard error.",
                )
            )

    def _fail_all(self) -> None:
        with self._lock:
            pending = list(self._pending.values())
        for each in pending:
            end = self.process.end
            if end is not None:
                each.inbox.put(end.error(may_have_run=each.line.left))
        self._on_end(self.process)


def _next(exchange: Exchange, pending: Pending) -> _Arrived:
    while True:
        exchange.sent = pending.line.left
        left = exchange.remaining()
        try:
            arrived = pending.inbox.get(timeout=left)
        except queue.Empty:
            continue
        if isinstance(arrived, MCPClientError):
            raise arrived
        if arrived is not None:
            return arrived
