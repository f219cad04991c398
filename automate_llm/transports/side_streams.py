"""The stream beside a session's calls, on which servers of the handshake versions may ask.

Some send what they ask while a tool runs not on the call's own stream but on the session's; where
nobody reads that, the question is lost and the tool waits for ever.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from automate_llm.cancellation import Cancellation
from automate_llm.clock import Clock
from automate_llm.exceptions import MCPClientError, UnexpectedStatus
from automate_llm.exchange import Exchange

from .http_messages import Endpoint, Reader
from .jsonrpc import Answers
from .questions import answers as answers_of

OPEN_SECONDS = 5.0
"""How long a call waits for the stream before it goes on without, and later ones do at once."""
END_SECONDS = 1.0
"""How long the last call's end waits for the stream's."""
LIFETIME = 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """A call under way, and what answers its server."""

    answers: Answers
    clock: Clock


class SideStream:
    """The one stream of a session: open while calls are under way whose server may ask.

    A server allows a session no second one, and does not say for which call it asks. Whoever has
    waited longest is asked, and the next one where that call ends before the answer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[_Call] = []
        self._stop = Cancellation()
        self._settled = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_missing = False

    @contextmanager
    def read(
        self,
        endpoint: Endpoint,
        exchange: Exchange,
        headers: Mapping[str, str],
        answers: Answers,
    ) -> Iterator[None]:
        """While the block runs, questions on the stream are answered, in a thread of their own.

        Nothing is done where the server has turned out to offer no such stream.
        """
        if self._is_missing:
            yield
            return
        call = _Call(answers, exchange.clock)
        settled = self._join(call, endpoint, headers)
        try:
            if not settled.wait(min(OPEN_SECONDS, exchange.remaining())):
                self._is_missing = True
            yield
        finally:
            self._leave(call)

    def _join(self, call: _Call, endpoint: Endpoint, headers: Mapping[str, str]) -> threading.Event:
        with self._lock:
            self._calls.append(call)
            if len(self._calls) == 1:
                self._stop, self._settled = Cancellation(), threading.Event()
                self._thread = threading.Thread(
                    target=self._listen,
                    args=(endpoint, headers, call.answers, self._stop, self._settled),
                    name="automate-side-stream",
                    daemon=True,
                )
                self._thread.start()
            return self._settled

    def _leave(self, call: _Call) -> None:
        with self._lock:
            self._calls.remove(call)
            stop, thread = self._stop, self._thread
            is_last = not self._calls
        if is_last and thread is not None:
            stop.cancel()
            thread.join(END_SECONDS)

    def _listen(
        self,
        endpoint: Endpoint,
        headers: Mapping[str, str],
        methods: Answers,
        stop: Cancellation,
        settled: threading.Event,
    ) -> None:
        answers = {method: partial(self._answer, method) for method in methods}
        reader = Reader(on_headers=lambda headers: settled.set(), answers=answers)
        try:
            endpoint.listen(Exchange(LIFETIME, stop), headers, reader)
        except UnexpectedStatus as exc:
            if exc.status_code == 405:
                self._is_missing = True
        except MCPClientError:
            pass  # without such a stream the calls go on all the same
        finally:
            settled.set()

    def _answer(self, method: str, params: Mapping[str, Any]) -> Any:
        while True:
            with self._lock:
                calls = [*self._calls]
            if not calls:
                return answers_of(None)[method](params)
            with ExitStack() as holds:
                for each in calls:  # any of them may be the one that waits
                    holds.enter_context(each.clock.held())
                answer = calls[0].answers[method](params)
            with self._lock:
                if calls[0] in self._calls or not self._calls:
                    return answer
