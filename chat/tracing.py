"""Spans of what a turn does, where the site wants them (`TRACING`); else they cost nothing.

`chat.otel` makes the real ones, and is the only file that knows OpenTelemetry. It is loaded when
tracing is on, and not before.
"""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from automate.conf import Settings
from automate_llm.providers.base import Completed, ModelRequest, Usage

from .models import ToolCall, Turn

logger = logging.getLogger(__name__)

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Span:
    """What is told of one piece of work while it is done. This one is recorded nowhere."""

    @property
    def trace_context(self) -> Mapping[str, str]:
        """What a server is sent to go on with the trace: `traceparent`, perhaps `tracestate`."""
        return _NOTHING

    def turn_ended(self, status: str) -> None:
        """The run of the turn is over."""

    def text_came(self) -> None:
        """A piece of the model's answer is there."""

    def answered(self, completed: Completed, usage: Usage) -> None:
        """The model's answer is complete."""

    def called(self, outcome: Any) -> None:
        """A tool call has come to a `ToolResult` or an exception."""


class Tracer:
    """Makes the spans of one run of a turn. This one makes none."""

    def turn(self, turn: Turn) -> AbstractContextManager[Span]:
        """Around a run of a turn."""
        return _NO_SPAN

    def request(self, turn: Turn, request: ModelRequest) -> AbstractContextManager[Span]:
        """Around one request to the model."""
        return _NO_SPAN

    def call(self, call: ToolCall) -> AbstractContextManager[Span]:
        """Around one tool call, in whichever thread makes it."""
        return _NO_SPAN

    def trace_parent(self) -> str:
        """The span that is current in this thread, as W3C Trace Context writes it."""
        return ""


_NO_SPAN = nullcontext(Span())
_NO_TRACER = Tracer()


def tracer(settings: Settings) -> Tracer:
    """What makes the spans of this site."""
    if not settings.TRACING or not _is_installed():
        return _NO_TRACER
    from .otel import OTelTracer

    return OTelTracer(settings)


@cache
def _is_installed() -> bool:
    if find_spec("opentelemetry") is not None:
        return True
    # `manage.py check` says so too; here it must not cost a person the answer.
    logger.warning("TRACING is on, and opentelemetry cannot be imported: nothing is traced")
    return False
