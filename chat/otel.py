"""The spans of a turn, its model requests and its tool calls, by OpenTelemetry's conventions.

Names and attributes are those of the GenAI and MCP conventions as of November 2026, which are still
in development; they are written out here, since the package that holds them calls them deprecated.
Source: open-telemetry/semantic-conventions-genai, `docs/gen-ai/`.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.status import Status, StatusCode

from automate.conf import Settings
from automate_llm import __version__
from automate_llm.exceptions import AutomateError, InputRequired, RPCError
from automate_llm.providers.base import Completed, Message, ModelRequest, Usage
from automate_llm.values import ToolResult

from .models import ToolCall, Turn
from .tracing import Span, Tracer

AGENT = "assistant"
_OPENAI = "https://api.openai.com/v1"
_OPTIONS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
}
# Of the propagators that a site may have configured only this one: baggage is the site's own
# business, and would go to servers that are not.
_W3C = TraceContextTextMapPropagator()


class OTelTracer(Tracer):
    """Makes spans with the site's own tracer provider."""

    def __init__(self, settings: Settings) -> None:
        self._tracer = trace.get_tracer("django-automate", __version__)
        self._models = settings.MODELS
        self._content = settings.TRACE_CONTENT

    @contextmanager
    def turn(self, turn: Turn) -> Iterator[Span]:
        """A span of kind `invoke_agent`, in the trace of the request that began the turn."""
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": AGENT,
            "automate.turn.id": str(turn.pk),
            "automate.turn.attempt": turn.attempt + 1,
            **self._of_model(turn),
        }
        context = _W3C.extract({"traceparent": turn.trace_parent}) if turn.trace_parent else None
        with self._tracer.start_as_current_span(
            f"invoke_agent {AGENT}",
            context=context,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield _TurnSpan(span, turn)

    @contextmanager
    def request(self, turn: Turn, request: ModelRequest) -> Iterator[Span]:
        """A span of kind `chat`."""
        chosen = self._models.get(turn.model, {})
        options = chosen.get("OPTIONS", {})
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.stream": True,
            **self._of_model(turn),
            **{
                name: options[option]
                for option, name in _OPTIONS.items()
                if isinstance(options.get(option), int | float)
            },
        }
        if self._content:
            attributes["gen_ai.input.messages"] = _json([_told(each) for each in request.messages])
        with self._tracer.start_as_current_span(
            f"chat {chosen.get('MODEL', turn.model)}",
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield _RequestSpan(span, self._content)
            except Exception as exc:  # marked and raised on
                _mark_failed(span, exc)
                raise

    @contextmanager
    def call(self, call: ToolCall) -> Iterator[Span]:
        """A span of the MCP conventions, which is one of kind `execute_tool` too."""
        tool = call.tool
        name = tool.name if tool is not None else call.function_name
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": call.call_id,
            "automate.call.id": call.pk,
        }
        operation = "execute_tool"
        if tool is not None:
            server = tool.server
            attributes["automate.server.slug"] = server.slug
            attributes |= _transport(server.endpoint_url)
            if server.settled_protocol != server.Protocol.REST:
                operation = attributes["mcp.method.name"] = "tools/call"
                if server.protocol_version:
                    attributes["mcp.protocol.version"] = server.protocol_version
        if self._content:
            attributes["gen_ai.tool.call.arguments"] = _json(call.arguments)
        with self._tracer.start_as_current_span(
            f"{operation} {name}",
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield _CallSpan(span, self._content)

    def trace_parent(self) -> str:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier.get("traceparent", "")

    def _of_model(self, turn: Turn) -> dict[str, Any]:
        chosen = self._models.get(turn.model, {})
        return {
            # Which dialect it speaks; any server of it may be behind the address.
            "gen_ai.provider.name": "openai",
            "gen_ai.conversation.id": str(turn.conversation_id),
            "gen_ai.request.model": str(chosen.get("MODEL", turn.model)),
            **_address(chosen.get("BASE_URL") or _OPENAI),
        }


class _TurnSpan(Span):
    def __init__(self, span: trace.Span, turn: Turn) -> None:
        self._span = span
        self._turn = turn

    def turn_ended(self, status: str) -> None:
        turn = self._turn
        self._span.set_attributes(
            {
                "automate.turn.status": status,
                "automate.turn.rounds": turn.rounds,
                "gen_ai.usage.input_tokens": turn.prompt_tokens,
                "gen_ai.usage.output_tokens": turn.completion_tokens,
            }
        )
        if status == Turn.Status.FAILED:
            self._span.set_attribute("error.type", status)
            self._span.set_status(Status(StatusCode.ERROR))


class _RequestSpan(Span):
    def __init__(self, span: trace.Span, content: bool) -> None:
        self._span = span
        self._content = content
        self._began: float | None = time.monotonic()

    def text_came(self) -> None:
        if self._began is not None:
            seconds = time.monotonic() - self._began
            self._span.set_attribute("gen_ai.response.time_to_first_chunk", seconds)
            self._began = None

    def answered(self, completed: Completed, usage: Usage) -> None:
        reason = "tool_calls" if completed.calls else "length" if completed.truncated else "stop"
        self._span.set_attributes(
            {
                "gen_ai.usage.input_tokens": usage.prompt_tokens,
                "gen_ai.usage.output_tokens": usage.completion_tokens,
                "gen_ai.response.finish_reasons": [reason],
            }
        )
        if usage.cached_tokens:
            self._span.set_attribute("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens)
        if self._content:
            parts = [{"type": "text", "content": completed.text}] if completed.text else []
            parts += [_call_part(each.id, each.name, each.arguments) for each in completed.calls]
            told = {"role": "assistant", "parts": parts, "finish_reason": reason}
            self._span.set_attribute("gen_ai.output.messages", _json([told]))


class _CallSpan(Span):
    def __init__(self, span: trace.Span, content: bool) -> None:
        self._span = span
        self._content = content

    @property
    def trace_context(self) -> Mapping[str, str]:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(self._span))
        return carrier

    def called(self, outcome: Any) -> None:
        if isinstance(outcome, ToolResult):
            if outcome.is_error:
                self._span.set_attribute("error.type", "tool_error")
                self._span.set_status(Status(StatusCode.ERROR))
            if self._content:
                self._span.set_attribute("gen_ai.tool.call.result", _json(outcome.value))
        elif not isinstance(outcome, InputRequired):
            _mark_failed(self._span, outcome)


def _mark_failed(span: trace.Span, error: Exception) -> None:
    """Say what kind of failure it was; the words only where they are our own."""
    kind = type(error).__name__
    if isinstance(error, RPCError):
        kind = str(error.code)
        span.set_attribute("rpc.response.status_code", kind)
    span.set_attribute("error.type", kind)
    words = str(error) if isinstance(error, AutomateError) else None
    span.set_status(Status(StatusCode.ERROR, words))


def _transport(endpoint_url: str) -> dict[str, Any]:
    if endpoint_url.startswith("stdio:"):
        return {"network.transport": "pipe"}
    return {
        "network.transport": "tcp",
        "network.protocol.name": "http",
        **_address(endpoint_url),
    }


def _address(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return {}
    return {"server.address": parts.hostname, "server.port": port} if parts.hostname else {}


def _told(message: Message) -> dict[str, Any]:
    """A message of the OpenAI dialect as the conventions write it."""
    content = _words(message.get("content") or "")
    if message["role"] == "tool":
        response = {"type": "tool_call_response", "id": message["tool_call_id"]}
        return {"role": "tool", "parts": [{**response, "response": content}]}
    parts = [{"type": "text", "content": content}] if content else []
    for each in message.get("tool_calls", ()):
        function = each["function"]
        parts.append(_call_part(each["id"], function["name"], function["arguments"]))
    return {"role": message["role"], "parts": parts}


def _words(content: Any) -> str:
    """The text of a message; an image is named and not shown."""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "[image]") for part in content)


def _call_part(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        value = arguments
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": value}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
