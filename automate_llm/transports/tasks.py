"""Calls that a server carries out as a task: its state is asked for until it is done.

Source: MCP's tasks extension, `io.modelcontextprotocol/tasks`.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from automate_llm.exceptions import (
    CallCancelled,
    ConnectionFailed,
    DeadlineExceeded,
    InputRequired,
    MCPClientError,
    ProtocolError,
    UnexpectedStatus,
)
from automate_llm.exchange import Exchange
from automate_llm.text import clean_text
from automate_llm.values import OnProgress, Progress

from . import jsonrpc
from .protocol import seconds_of
from .questions import input_required

EXTENSION = "io.modelcontextprotocol/tasks"
PAUSE_SECONDS = 1.0
"""Between two questions where the server proposes no other pause."""
MIN_PAUSE_SECONDS = 0.05
MAX_PAUSE_SECONDS = 30.0
CANCEL_SECONDS = 0.5
_FAILURES = 3
_MAX_ID_CHARACTERS = 1_000
_MAX_MESSAGE_BYTES = 200

Ask = Callable[[Exchange, str, dict[str, Any]], jsonrpc.Response]


class Task:
    """One task of a server. Whatever fails here, the tool may have done its work.

    `ask` sends a request in the connection's own way.
    """

    def __init__(self, ask: Ask, exchange: Exchange, task_id: object) -> None:
        if not isinstance(task_id, str) or not 0 < len(task_id) <= _MAX_ID_CHARACTERS:
            raise ProtocolError("The server's task has no id, or a long one.", may_have_run=True)
        self.id = task_id
        self._ask, self._exchange = ask, exchange

    def answer(self, input_responses: Mapping[str, Any]) -> None:
        """Hand over what a person answered."""
        try:
            self._ask(
                self._exchange, "tasks/update", self._params(inputResponses=dict(input_responses))
            ).unwrap()
        except MCPClientError as exc:
            exc.may_have_run = True
            raise

    def result(
        self,
        state: Mapping[str, Any] | None,
        on_progress: OnProgress | None,
        answered: Collection[str] = (),
    ) -> Mapping[str, Any]:
        """What the call would have answered, once it is there; `state` is what is known so far.

        The server is told to stop where nobody waits any more. Questions that are `answered` are
        not asked a second time.

        Raises:
            InputRequired: a person must answer first.
            RPCError: the call failed.
        """
        try:
            return self._awaited(state, on_progress, answered)
        except InputRequired:
            raise
        except (CallCancelled, DeadlineExceeded) as exc:
            exc.may_have_run = True
            with suppress(MCPClientError):
                self._ask(Exchange(CANCEL_SECONDS), "tasks/cancel", self._params())
            raise
        except MCPClientError as exc:
            exc.may_have_run = True
            raise

    def _awaited(
        self,
        state: Mapping[str, Any] | None,
        on_progress: OnProgress | None,
        answered: Collection[str],
    ) -> Mapping[str, Any]:
        said = ""
        polls = 0
        while True:
            if state is None:
                state = self._state()
            match state.get("status"):
                case "completed" if isinstance(result := state.get("result"), dict):
                    return result
                case "failed":
                    jsonrpc.response_in({"error": state.get("error") or {}}).unwrap()
                case "cancelled":
                    raise MCPClientError("The server cancelled the task.")
                case "input_required" if not set(_keys(state)) <= set(answered):
                    raise input_required(state, self.id)
                case "working" | "input_required":
                    message = state.get("statusMessage")
                    if on_progress and isinstance(message, str) and message != said:
                        said = message
                        on_progress(Progress(polls, None, clean_text(said, _MAX_MESSAGE_BYTES)))
                case _:
                    raise ProtocolError("The server's task is in a state that nobody knows.")
            self._exchange.pause(_pause(state))
            state = None
            polls += 1

    def _state(self) -> Mapping[str, Any]:
        """Ask for it; a question only reads, so a failure of the network is put up with."""
        for failures in range(_FAILURES + 1):
            try:
                return self._ask(self._exchange, "tasks/get", self._params()).unwrap()
            except (ConnectionFailed, UnexpectedStatus) as exc:
                lasting = isinstance(exc, UnexpectedStatus) and exc.status_code < 500
                if lasting or failures == _FAILURES:
                    raise
            self._exchange.pause(PAUSE_SECONDS)
        raise AssertionError

    def _params(self, **more: Any) -> dict[str, Any]:
        return {"taskId": self.id, **more}


def _keys(state: Mapping[str, Any]) -> Collection[str]:
    asked = state.get("inputRequests")
    return asked if isinstance(asked, dict) else ()


def _pause(state: Mapping[str, Any]) -> float:
    proposed = seconds_of(state.get("pollIntervalMs"), MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS)
    return PAUSE_SECONDS if proposed is None else proposed
