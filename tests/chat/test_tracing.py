"""OpenTelemetry: the spans of a turn, and the trace that goes on at the servers."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from automate.models import MCPServer
from automate.sync import sync_server
from automate_llm.mcp_client import MCPClient
from automate_llm.values import Connection
from chat import tracing
from chat.decisions import approve
from chat.engine import run_turn
from chat.models import Approval, Turn
from chat.submission import send_message
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, status, text

pytestmark = pytest.mark.django_db

TRACE = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
    "tracestate": "vendor=1",
}
Spans = Callable[[], list[ReadableSpan]]


@pytest.fixture(scope="session")
def exporter() -> Iterator[InMemorySpanExporter]:
    provider = TracerProvider()
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    yield exporter
    provider.shutdown()


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Spans:
    """Our own spans that have ended, in the order of their beginning."""
    exporter.clear()

    def ours() -> list[ReadableSpan]:
        found = [
            each
            for each in exporter.get_finished_spans()
            if each.instrumentation_scope is not None
            and each.instrumentation_scope.name == "django-automate"
        ]
        return sorted(found, key=lambda each: each.start_time or 0)

    return ours


def finished(turn: Turn) -> Turn:
    run_turn(turn.pk)
    turn.refresh_from_db()
    return turn


def of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_turn_is_a_span_with_its_requests_and_calls_below_it(
    model: Any, ask: Any, shop: Any, spans: Spans
) -> None:
    peer = shop(Offer("echo", handler=lambda arguments: {"found": 1}))
    script = [calls(*[("shop__echo", {"n": n}) for n in range(2)]), text("Done now.")]
    server = model(script, TRACING=True)

    turn = finished(ask())

    names = [each.name for each in spans()]
    assert names[:2] == ["invoke_agent assistant", "chat scripted"]
    assert sorted(names[2:]) == ["chat scripted", "tools/call echo", "tools/call echo"]
    agent, first, *_rest = spans()
    assert agent.context is not None
    for below in spans()[1:]:
        assert below.parent is not None
        assert below.parent.span_id == agent.context.span_id
    assert {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "scripted",
        "gen_ai.conversation.id": str(turn.conversation_id),
        "gen_ai.usage.input_tokens": 24,
        "automate.turn.id": str(turn.pk),
        "automate.turn.status": "done",
        "automate.turn.rounds": 2,
    }.items() <= of(agent).items()
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.stream": True,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.response.finish_reasons": ("tool_calls",),
        "server.address": "127.0.0.1",
        "server.port": int(server.base_url.split(":")[2].split("/")[0]),
    }.items() <= of(first).items()
    (last,) = [each for each in spans()[2:] if each.name.startswith("chat")]
    assert of(last)["gen_ai.response.finish_reasons"] == ("stop",)
    assert 0 < of(last)["gen_ai.response.time_to_first_chunk"] < 60
    for each in spans():
        if each.name == "tools/call echo":
            assert {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "echo",
                "mcp.method.name": "tools/call",
                "mcp.protocol.version": "2026-07-28",
                "network.transport": "tcp",
                "server.address": "127.0.0.1",
                "server.port": peer.port,
                "automate.server.slug": "shop",
            }.items() <= of(each).items()
            assert each.kind == trace.SpanKind.CLIENT
            assert not each.events


def test_the_trace_of_the_web_request_goes_on_in_the_turn_and_at_the_server(
    model: Any, user: Any, executor: Any, shop: Any, spans: Spans, exporter: InMemorySpanExporter
) -> None:
    peer = shop(Offer("echo"))
    model([calls(("shop__echo", {})), text("Done.")], TRACING=True)
    with trace.get_tracer("web").start_as_current_span("POST /send") as web:
        turn = send_message(user, None, "Hello", uuid4())
    wanted = web.get_span_context()
    assert turn.trace_parent.startswith(f"00-{wanted.trace_id:032x}-{wanted.span_id:016x}-")
    peer.requests.clear()

    finished(turn)

    agent = spans()[0]
    assert agent.parent is not None
    assert (agent.parent.trace_id, agent.parent.span_id) == (wanted.trace_id, wanted.span_id)
    (call,) = [each for each in spans() if each.name == "tools/call echo"]
    assert call.context is not None
    (sent,) = peer.seen("tools/call")
    expected = f"00-{wanted.trace_id:032x}-{call.context.span_id:016x}-"
    assert sent.body["params"]["_meta"]["traceparent"].startswith(expected)
    assert "traceparent" not in sent.headers
    of_server = [
        each
        for each in exporter.get_finished_spans()
        if each.kind == trace.SpanKind.SERVER
        and each.parent is not None
        and each.parent.span_id == call.context.span_id
    ]
    assert [each.context.trace_id for each in of_server if each.context] == [wanted.trace_id]


def test_a_turn_that_waited_for_a_person_goes_on_in_the_same_trace(
    model: Any, user: Any, executor: Any, shop: Any, spans: Spans
) -> None:
    shop(Offer("order"))
    model([calls(("shop__order", {})), text("Done.")], TRACING=True, APPROVAL_DEFAULT="ask")
    with trace.get_tracer("web").start_as_current_span("POST /send") as web:
        turn = send_message(user, None, "Hello", uuid4())
    finished(turn)
    approve(Approval.objects.get(), user)

    finished(turn)

    runs = [each for each in spans() if each.name.startswith("invoke_agent")]
    assert [of(each)["automate.turn.status"] for each in runs] == ["waiting", "done"]
    traces = {each.context.trace_id for each in runs if each.context is not None}
    assert traces == {web.get_span_context().trace_id}


def test_nothing_that_anybody_said_is_in_a_span_by_default(
    model: Any, ask: Any, shop: Any, spans: Spans
) -> None:
    shop(Offer("echo", handler=lambda arguments: "PRIVATE result"))
    model(
        [calls(("shop__echo", {"a": "PRIVATE argument"})), text("PRIVATE answer")],
        TRACING=True,
        SYSTEM_PROMPT="PRIVATE prompt",
    )

    finished(ask("PRIVATE message"))

    assert len(spans()) == 4
    assert "PRIVATE" not in "".join(each.to_json() for each in spans())


def test_what_was_said_is_in_the_spans_where_the_site_wants_it(
    model: Any, ask: Any, shop: Any, spans: Spans
) -> None:
    shop(Offer("echo", handler=lambda arguments: "a result"))
    script = [calls(("shop__echo", {"a": "ü"})), text("An answer")]
    model(script, TRACING=True, TRACE_CONTENT=True, SYSTEM_PROMPT="Be kind.")

    finished(ask("A message"))

    _agent, _first, call, last = spans()
    assert json.loads(of(call)["gen_ai.tool.call.arguments"]) == {"a": "ü"}
    assert json.loads(of(call)["gen_ai.tool.call.result"]) == "a result"
    told = json.loads(of(last)["gen_ai.input.messages"])
    assert [each["role"] for each in told] == ["system", "user", "assistant", "tool"]
    assert told[2]["parts"][0] | {"id": ""} == {
        "type": "tool_call",
        "id": "",
        "name": "shop__echo",
        "arguments": {"a": "ü"},
    }
    assert told[3]["parts"][0]["response"] == "a result"
    (answer,) = json.loads(of(last)["gen_ai.output.messages"])
    assert answer["parts"] == [{"type": "text", "content": "An answer"}]


def test_a_tool_that_fails_is_an_error_of_the_call_and_not_of_the_turn(
    model: Any, ask: Any, shop: Any, spans: Spans
) -> None:
    def fail(arguments: dict[str, Any]) -> str:
        raise ValueError("PRIVATE shelf")

    shop(Offer("echo", handler=fail))
    model([calls(("shop__echo", {})), text("Sorry.")], TRACING=True)

    finished(ask())

    agent, _first, call, _last = spans()
    assert of(call)["error.type"] == "tool_error"
    assert call.status.status_code == trace.StatusCode.ERROR
    assert "error.type" not in of(agent)
    assert "PRIVATE" not in call.to_json()


def test_a_server_that_is_gone_and_a_model_that_refuses_are_named_by_their_kind(
    model: Any, ask: Any, shop: Any, spans: Spans
) -> None:
    shop(Offer("echo")).stop()
    refusal = status(400, {"error": {"message": "PRIVATE body"}})
    model([calls(("shop__echo", {})), refusal], TRACING=True)

    turn = finished(ask())

    agent, _first, call, last = spans()
    assert turn.status == Turn.Status.FAILED
    assert of(call)["error.type"] == "ConnectionFailed"
    assert of(last)["error.type"] == "ModelRefused"
    assert of(agent)["error.type"] == "failed"
    assert "PRIVATE" not in last.to_json()


def test_baggage_of_the_site_goes_to_no_server(
    model: Any, ask: Any, shop: Any, spans: Spans
) -> None:
    peer = shop(Offer("echo"))
    model([calls(("shop__echo", {})), text("Done.")], TRACING=True)
    token = context.attach(baggage.set_baggage("customer", "ann"))
    try:
        finished(ask())
    finally:
        context.detach(token)

    (sent,) = peer.seen("tools/call")
    assert "baggage" not in sent.body["params"]["_meta"]
    assert "ann" not in json.dumps(sent.body)


def test_where_tracing_is_off_there_is_no_span_and_no_trace_context(
    model: Any, user: Any, executor: Any, shop: Any, spans: Spans
) -> None:
    peer = shop(Offer("echo"))
    model([calls(("shop__echo", {})), text("Done.")])
    with trace.get_tracer("web").start_as_current_span("POST /send"):
        turn = finished(send_message(user, None, "Hello", uuid4()))

    assert (turn.status, turn.trace_parent, spans()) == ("done", "", [])
    assert "traceparent" not in peer.seen("tools/call")[0].body["params"]["_meta"]


def test_where_tracing_is_off_opentelemetry_is_not_imported() -> None:
    program = """
import sys, django
django.setup()
import chat.engine, chat.submission, chat.views.conversations
from automate.conf import conf
from chat.tracing import tracer
assert tracer(conf()).trace_parent() == ""
loaded = {name for name in sys.modules if name.startswith("opentelemetry")}
assert not loaded and "chat.otel" not in sys.modules, loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_without_opentelemetry_turns_go_on_and_the_check_says_why(
    model: Any, ask: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model([text("Hi.")], TRACING=True)
    for module in ("tracing", "checks"):
        monkeypatch.setattr(f"chat.{module}.find_spec", lambda name: None)
    tracing._is_installed.cache_clear()

    assert finished(ask()).status == Turn.Status.DONE
    assert "nothing is traced" in caplog.text
    with pytest.raises(SystemCheckError, match="automate_chat.E003"):
        call_command("check")
    tracing._is_installed.cache_clear()


@pytest.mark.parametrize("options", [{}, {"legacy_only": True}, {"sse": True}], ids=str)
def test_every_mcp_transport_over_http_carries_the_trace_in_meta(
    sdk_server: Any, options: dict[str, Any]
) -> None:
    peer = sdk_server(Offer("echo"), **options)
    connection = Connection("shop", peer.url, private_hosts=None)

    MCPClient(connection).call("echo", {}, trace_context=TRACE)

    (sent,) = peer.seen("tools/call")
    assert TRACE.items() <= sent.body["params"]["_meta"].items()
    assert "traceparent" not in sent.headers


def test_the_simple_dialect_carries_the_trace_in_its_headers(
    rest_server: Any, settings: Any
) -> None:
    echo = {"name": "echo", "description": "", "inputSchema": {"type": "object"}}
    peer = rest_server([echo], lambda tool, arguments: "done")
    connection = Connection("shop", peer.url, private_hosts=None, protocol="rest")

    MCPClient(connection).call("echo", {}, trace_context=TRACE)

    assert TRACE.items() <= peer.requests[-1].headers.items()


def test_a_call_in_the_simple_dialect_is_a_span_without_mcp(
    model: Any, ask: Any, rest_server: Any, spans: Spans
) -> None:
    echo = {"name": "echo", "description": "", "inputSchema": {"type": "object"}}
    peer = rest_server([echo], lambda tool, arguments: "done")
    model([calls(("shop__echo", {})), text("Done.")], TRACING=True)
    assert not sync_server(
        MCPServer.objects.create(name="Shop", slug="shop", endpoint_url=peer.url)
    ).error

    finished(ask())

    (call,) = [each for each in spans() if "echo" in each.name]
    assert call.name == "execute_tool echo"
    assert not [name for name in of(call) if name.startswith("mcp.")]
