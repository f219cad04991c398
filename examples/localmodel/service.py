"""Chat-completions requests answered by an engine, one at a time."""

import sys
import threading

from .engine import Engine, PromptTooLong
from .tools import JSON, Call
from .turn import ConstrainedTurn
from .wire import Reply, RequestRefused

ATTEMPTS = 5


class LocalModel:
    """Answers chat-completions requests with an engine."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self._engine = engine
        self._turn = threading.Lock()

    def complete(self, body: object, reply: Reply) -> None:
        """Write the model's answer, or its call, into `reply`; raises `RequestRefused`."""
        try:
            turn = ConstrainedTurn.from_request(body, self._engine.context)
            turn.engine_messages()
        except ValueError as exc:
            raise RequestRefused(400, str(exc)) from exc
        while not self._turn.acquire(timeout=0.5):
            reply.check_client()
        try:
            self._complete(turn, reply)
        finally:
            self._turn.release()

    def _complete(self, turn: ConstrainedTurn, reply: Reply) -> None:
        for _ in range(ATTEMPTS):
            if left_out := len(turn.tools) - len(turn.described()):
                log(f"{left_out} of {len(turn.tools)} tools left out: the context is too small")
            try:
                call = self._run(turn, reply)
            except ValueError as exc:
                turn = self._untyped(turn, exc)
            except PromptTooLong as exc:
                turn = self._shortened(turn, exc)
            else:
                if call is None or not turn.repeats(call):
                    return reply.finish(call)
                turn = turn.answering()
        raise RequestRefused(500, "the engine gave no usable reply")

    def _run(self, turn: ConstrainedTurn, reply: Reply) -> Call | None:
        decoder = turn.decoder()

        def receive(chunk: JSON) -> None:
            reply.check_client()
            reply.usage = chunk.get("usage") or reply.usage
            for choice in chunk.get("choices") or []:
                reply.finish_reason = choice.get("finish_reason") or reply.finish_reason
                if text := decoder.feed((choice.get("delta") or {}).get("content") or ""):
                    reply.write(text)

        self._engine.run(turn.engine_request(), receive)
        return decoder.call()

    def _untyped(self, turn: ConstrainedTurn, refusal: ValueError) -> ConstrainedTurn:
        """The turn without schemas for arguments: the engine refused one of them."""
        untyped = turn.untyped()
        if untyped is None:
            raise RequestRefused(400, f"the engine refused the request: {refusal}") from refusal
        log(f"arguments are held to no schema in this request: {refusal}")
        return untyped

    def _shortened(self, turn: ConstrainedTurn, cause: PromptTooLong) -> ConstrainedTurn:
        room = self._engine.room
        shortened = turn.shortened(cause.tokens, room)
        if shortened is None:
            raise RequestRefused(
                400,
                f"this conversation takes {cause.tokens} tokens, and the model has room for "
                f"{room}; start a new one, or raise --context",
                code="context_length_exceeded",
            ) from cause
        log(f"prompt cut from {cause.tokens} tokens to fit {room}")
        return shortened


def log(line: str) -> None:
    """One line on stderr; stdout is for the READY line."""
    print(f"gguf_model: {' '.join(line.split())}", file=sys.stderr, flush=True)
