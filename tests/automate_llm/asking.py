"""Asks a scripted model through the real provider."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from automate_llm.cancellation import Cancellation
from automate_llm.providers.base import Completed, ModelConfig, ModelEvent, ModelRequest
from automate_llm.providers.openai import OpenAIProvider
from tests.servers.scripted_model import Script, ScriptedModel

TOOLS = b'[{"type":"function","function":{"name":"shop_search","parameters":{"type":"object"}}}]'
QUESTION = ({"role": "user", "content": "How many blue mugs?"},)


@dataclass
class Asking:
    """A provider, and the scripted model that it talks to."""

    model: ScriptedModel
    provider: OpenAIProvider

    def events(
        self,
        tools: bytes = b"",
        messages: Sequence[dict[str, Any]] = QUESTION,
        cancellation: Cancellation | None = None,
    ) -> Iterator[ModelEvent]:
        """The events of one answer, as they come."""
        request = ModelRequest(messages, tools)
        return self.provider.stream(request, cancellation or Cancellation())

    def answer(
        self, tools: bytes = b"", messages: Sequence[dict[str, Any]] = QUESTION
    ) -> Completed:
        """The last event of one answer."""
        *_, last = self.events(tools, messages)
        assert isinstance(last, Completed)
        return last


@contextmanager
def asking(script: Script, **options: Any) -> Iterator[Asking]:
    """A scripted model and a provider for it; `options` are those of `ModelConfig`."""
    with ScriptedModel(script) as model:
        chosen = {"model": "scripted", "base_url": model.base_url, "api_key": "sk-test"} | options
        provider = OpenAIProvider(ModelConfig(**chosen))
        try:
            yield Asking(model, provider)
        finally:
            provider.close()
