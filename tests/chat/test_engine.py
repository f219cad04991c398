"""What a turn does with a model and its tools."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from automate.models import MCPServer, MCPTool
from chat.engine import run_turn
from chat.models import Message, ToolCall, Turn, TurnEvent
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import Request, calls, raw_chunks, status, text

pytestmark = pytest.mark.django_db

NUMBER = {
    "type": "object",
    "properties": {"number": {"type": "integer"}},
    "required": ["number"],
    "additionalProperties": False,
}


def finished(turn: Turn) -> Turn:
    run_turn(turn.pk)
    turn.refresh_from_db()
    return turn


def answers_of(turn: Turn) -> list[str]:
    return [each.content for each in turn.messages.filter(role=Message.Role.ASSISTANT)]


def tool_messages(request: Request) -> list[str]:
    return [each["content"] for each in request.messages if each["role"] == "tool"]


def test_a_text_answer_is_stored_and_the_turn_is_done(model: Any, ask: Any) -> None:
    model([text("Good morning to you.")])

    turn = finished(ask("Hello"))

    assert (turn.status, turn.notice, turn.rounds) == (Turn.Status.DONE, "", 1)
    assert answers_of(turn) == ["Good morning to you."]
    assert (turn.prompt_tokens, turn.completion_tokens) == (12, 4)


def test_the_model_is_sent_the_system_prompt_and_the_conversation(model: Any, ask: Any) -> None:
    server = model([text("First."), text("Second.")], SYSTEM_PROMPT="Be kind.")
    turn = finished(ask("One"))
    finished(ask("Two", conversation=turn.conversation))

    assert server.requests[1].messages == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "First."},
        {"role": "user", "content": "Two"},
    ]


def test_a_tool_is_called_and_the_model_reads_its_result(model: Any, ask: Any, shop: Any) -> None:
    peer = shop(Offer("stock", handler=lambda arguments: {"blue mug": 7}))
    server = model([calls(("shop__stock", {"query": "mug"})), text("There are 7.")])

    turn = finished(ask("How many blue mugs?"))

    assert answers_of(turn) == ["", "There are 7."]
    assert tool_messages(server.requests[1]) == ['{"blue mug":7}']
    assert peer.calls("stock") == [{"query": "mug"}]
    call = turn.tool_calls.get()
    assert (call.status, call.server_name, call.title) == ("succeeded", "Shop", "stock")
    assert call.result["structured"] == {"blue mug": 7}
    assert call.seconds is not None


def test_a_server_that_is_due_is_not_asked_for_its_list_in_a_turn(
    model: Any, ask: Any, shop: Any
) -> None:
    peer = shop(Offer("stock"), ttl_ms=1)
    MCPServer.objects.update(due_at=timezone.now() - timedelta(days=1))
    model([calls(("shop__stock", {})), text("Done.")])

    turn = finished(ask("How many?"))

    assert answers_of(turn)[-1] == "Done."
    assert [seen.rpc_method for seen in peer.requests] == ["tools/call"]
    assert MCPServer.objects.due().exists()


def test_the_model_is_offered_exactly_the_usable_tools(model: Any, ask: Any, shop: Any) -> None:
    shop(Offer("one"), Offer("two"))
    MCPTool.objects.filter(name="two").update(enabled=False)
    server = model([text("Hi.")])

    finished(ask())

    assert server.requests[0].tool_names == ["shop__one"]


def test_calls_of_one_answer_run_at_the_same_time(model: Any, ask: Any, shop: Any) -> None:
    together = threading.Barrier(3, timeout=10)
    shop(Offer("wait", handler=lambda arguments: str(together.wait() >= 0)))
    wanted = [("shop__wait", {"number": number}) for number in range(3)]
    model([calls(*wanted), text("Done.")])

    turn = finished(ask())

    assert [call.status for call in turn.tool_calls.all()] == ["succeeded"] * 3


def test_more_calls_than_may_run_at_once_wait_in_line(model: Any, ask: Any, shop: Any) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def handler(arguments: dict[str, Any]) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(0.05)
        with lock:
            running -= 1
        return "done"

    gate = threading.Event()
    shop(Offer("busy", handler=handler))
    wanted = [("shop__busy", {"number": number}) for number in range(6)]
    model([calls(*wanted), text("Done.")], PARALLEL_CALLS=2)

    turn = finished(ask())

    assert turn.tool_calls.filter(status="succeeded").count() == 6
    assert most == 2


def test_every_call_has_one_answer_in_the_order_that_was_asked(
    model: Any, ask: Any, shop: Any
) -> None:
    shop(Offer("echo", handler=lambda arguments: f"number {arguments['number']}"))
    wanted = [("shop__echo", {"number": number}) for number in range(4)]
    server = model([calls(*wanted), text("Done.")])

    finished(ask())

    asked = [each["id"] for each in server.requests[1].messages[2]["tool_calls"]]
    answered = [each["tool_call_id"] for each in server.requests[1].messages[3:]]
    assert answered == asked
    assert tool_messages(server.requests[1]) == [f"number {number}" for number in range(4)]


def test_arguments_that_do_not_fit_go_back_to_the_model_and_not_to_the_server(
    model: Any, ask: Any, shop: Any
) -> None:
    peer = shop(Offer("echo", input_schema=NUMBER))
    wrong, right = {"number": "seven"}, {"number": 7}
    server = model([calls(("shop__echo", wrong)), calls(("shop__echo", right)), text("Done.")])

    turn = finished(ask())

    assert peer.calls("echo") == [right]
    assert [call.status for call in turn.tool_calls.all()] == ["refused", "succeeded"]
    (complaint,) = tool_messages(server.requests[1])
    assert "number" in complaint
    assert "integer" in complaint


DEEP = '{"a":' * 9_000 + "1" + "}" * 9_000
BROKEN = ['{"number": 7', "[7]", '"7"', "NaN", '{"number": NaN}', DEEP]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_broken_arguments_are_mended_by_the_model_and_history_stays_valid(
    model: Any, ask: Any, shop: Any, broken: str
) -> None:
    shop(Offer("echo", input_schema=NUMBER))
    server = model([calls(("shop__echo", broken)), text("I cannot.")])

    turn = finished(ask())

    (call,) = server.requests[1].messages[2]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {}
    assert "The arguments" in tool_messages(server.requests[1])[0]
    assert turn.status == Turn.Status.DONE


def test_a_tool_that_does_not_exist_is_told_to_the_model(model: Any, ask: Any, shop: Any) -> None:
    shop(Offer("echo"))
    server = model([calls(("shop__nothing", {})), text("Sorry.")])

    turn = finished(ask())

    assert "no tool of this name" in tool_messages(server.requests[1])[0]
    assert turn.tool_calls.get().status == ToolCall.Status.REFUSED
    assert turn.status == Turn.Status.DONE


def test_a_tool_that_is_disabled_is_not_called_even_if_the_model_names_it(
    model: Any, ask: Any, shop: Any
) -> None:
    peer = shop(Offer("echo"))
    MCPTool.objects.update(enabled=False)
    model([calls(("shop__echo", {})), text("Sorry.")])

    turn = finished(ask())

    assert peer.calls() == []
    assert turn.tool_calls.get().status == ToolCall.Status.REFUSED


def test_a_failure_of_the_tool_is_shown_and_the_turn_goes_on(
    model: Any, ask: Any, shop: Any
) -> None:
    def fail(arguments: dict[str, Any]) -> str:
        raise ValueError("the shelf is empty")

    shop(Offer("echo", handler=fail))
    server = model([calls(("shop__echo", {})), text("It failed.")])

    turn = finished(ask())

    assert turn.tool_calls.get().status == ToolCall.Status.FAILED
    assert tool_messages(server.requests[1]) == ["The tool failed: the shelf is empty"]
    assert turn.status == Turn.Status.DONE


def test_a_server_that_is_gone_is_a_failed_call_and_the_turn_goes_on(
    model: Any, ask: Any, shop: Any
) -> None:
    shop(Offer("echo")).stop()
    server = model([calls(("shop__echo", {})), text("It is down.")])

    turn = finished(ask())

    call = turn.tool_calls.get()
    assert call.status == ToolCall.Status.FAILED
    assert call.error.startswith("Connection error")
    assert "Connection error" in tool_messages(server.requests[1])[0]


def test_an_uncertain_write_is_not_sent_again_in_the_same_turn(
    model: Any, ask: Any, shop: Any
) -> None:
    peer = shop(Offer("order", handler=lambda arguments: peer.stopping.wait(10)))
    peer_row = MCPTool.objects.get().server
    peer_row.timeout = 0.3
    peer_row.save()
    model([calls(("shop__order", {})), calls(("shop__order", {})), text("Unsure.")])

    turn = finished(ask())

    assert [call.status for call in turn.tool_calls.all()] == ["unknown", "refused"]
    assert len(peer.calls("order")) == 1


def test_text_of_a_stream_that_breaks_is_kept_and_the_next_turn_works(model: Any, ask: Any) -> None:
    server = model([text("There are exactly seven of them.").drop_after(4), text("Seven.")])

    turn = finished(ask("How many?"))

    assert turn.status == Turn.Status.FAILED
    assert turn.notice
    partial = turn.messages.get(role=Message.Role.ASSISTANT)
    assert (partial.content, partial.interrupted) == ("There are exactly", True)
    again = finished(ask("Again?", conversation=turn.conversation))
    assert again.status == Turn.Status.DONE
    assert [each["role"] for each in server.requests[1].messages] == ["system", "user", "user"]


def test_no_half_call_is_ever_run(model: Any, ask: Any, shop: Any) -> None:
    peer = shop(Offer("echo"))
    model([calls(("shop__echo", {"number": 12345678})).drop_after(3)])

    turn = finished(ask())

    assert turn.status == Turn.Status.FAILED
    assert peer.calls() == []
    assert not turn.tool_calls.exists()


def test_a_model_server_that_refuses_gives_a_sentence(model: Any, ask: Any) -> None:
    model([status(401, {"error": {"message": "bad key sk-12345"}})])

    turn = finished(ask())

    assert turn.status == Turn.Status.FAILED
    assert turn.notice
    assert "sk-12345" not in turn.notice


def test_a_site_without_a_model_says_so(settings: Any, ask: Any) -> None:
    settings.AUTOMATE = {}

    turn = finished(ask())

    assert turn.status == Turn.Status.FAILED
    assert "AUTOMATE['MODELS']" in turn.notice


def test_a_fault_of_ours_is_a_fixed_sentence_with_a_reference(
    model: Any, ask: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*parts: Any) -> Any:
        raise RuntimeError("secret inside")

    model([text("Hi.")])
    monkeypatch.setattr("chat.engine.compacted", explode)

    turn = finished(ask())

    assert turn.status == Turn.Status.FAILED
    assert "secret" not in turn.notice
    reference = turn.notice.rsplit(" ", 1)[1].rstrip(".")
    assert reference in caplog.text


def test_a_model_without_tool_support_answers_without_them(model: Any, ask: Any, shop: Any) -> None:
    shop(Offer("echo"))
    refusal = status(400, {"error": {"message": "this model does not support tools"}})
    model(lambda request: refusal if request.tool_names else text("Hello."))

    turn = finished(ask())

    assert answers_of(turn) == ["Hello."]
    assert "takes no tools" in turn.notice


def test_an_empty_answer_is_explained(model: Any, ask: Any) -> None:
    model([raw_chunks([{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}])])

    turn = finished(ask())

    assert (turn.status, turn.notice[:28]) == (Turn.Status.DONE, "The model gave an empty answ")


def test_a_second_run_of_the_same_turn_does_nothing(model: Any, ask: Any) -> None:
    server = model([text("Once.")])
    turn = finished(ask())

    finished(turn)

    assert len(server.requests) == 1
    assert turn.attempt == 1


def test_the_log_of_a_finished_turn_has_no_text_and_ends_with_its_status(
    model: Any, ask: Any, shop: Any
) -> None:
    shop(Offer("echo"))
    model([calls(("shop__echo", {})), text("It is done.")])

    turn = finished(ask())

    kinds = list(turn.events.values_list("kind", flat=True))
    assert kinds == ["message", "call", "call", "message", "status"]
    assert turn.events.last().data == {"status": "done"}
    assert TurnEvent.objects.filter(turn=turn).count() == len(kinds)
