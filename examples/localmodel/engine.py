"""llama.cpp, by the package `xllamacpp`."""

import secrets
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from .tools import JSON
from .wire import RequestRefused

ROOM_TO_ANSWER = 256
PROMPT_CACHE_MIB = 512
BATCH = 128


class PromptTooLong(Exception):
    """The prompt leaves no room for an answer in the model's context."""

    def __init__(self, tokens: int) -> None:
        super().__init__(f"{tokens} tokens")
        self.tokens = tokens


class Engine:
    """One loaded model; `run` is for one thread at a time."""

    def __init__(self, xllamacpp: ModuleType, gguf: Path, *, threads: int, context: int) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(gguf)
        params.n_ctx = context
        params.n_parallel = 1
        params.n_batch = params.n_ubatch = BATCH
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.cache_ram_mib = PROMPT_CACHE_MIB
        params.verbosity = 0
        # The engine opens an HTTP port of its own, which nobody needs: it gets a key.
        params.api_keys = [secrets.token_urlsafe(32)]
        params.ui = params.endpoint_slots = False
        self.context = context
        self.room = context - min(ROOM_TO_ANSWER, context // 4)
        """Tokens that a prompt may have, so that an answer still fits."""
        self._server = xllamacpp.Server(params)

    def run(self, request: JSON, on_chunk: Callable[[JSON], None]) -> None:
        """Hand each chunk of the engine's stream to `on_chunk`, until that raises.

        Raises `PromptTooLong`, `ValueError` for a request that the engine does not take,
        `RequestRefused` for a failure of its own, and what `on_chunk` raises.
        """
        failure: Exception | None = None

        def receive(chunk: JSON) -> bool:
            nonlocal failure
            try:
                self._check(chunk)
                on_chunk(chunk)
            except Exception as exc:  # the binding drops exceptions, and goes on after most
                failure = exc
            return failure is not None

        self._server.handle_chat_completions(request, receive)
        if failure is not None:
            raise failure

    def _check(self, chunk: JSON) -> None:
        error = chunk.get("error")
        if isinstance(error, dict):
            if error.get("type") == "exceed_context_size_error":
                raise PromptTooLong(int(error.get("n_prompt_tokens", self.context)))
            if error.get("code") == 400:
                raise ValueError(error.get("message"))
            raise RequestRefused(500, f"the engine failed: {error.get('message')}")
        tokens = (chunk.get("prompt_progress") or {}).get("total", 0)
        if tokens > self.room:
            raise PromptTooLong(tokens)
