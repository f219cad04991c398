"""The audit of tool calls: complete, unchangeable, without secrets, and of use to an auditor."""

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from automate.models import MCPServer, MCPTool
from chat.decisions import approve, deny, resolve
from chat.engine import run_turn
from chat.models import Approval, CallRecord, ToolCall, Turn
from chat.records import shown_arguments
from chat.recovery import recover_abandoned
from tests.servers.mcp_sdk import Offer
from tests.servers.scripted_replies import calls, text

from .rows import let_lease_run_out
from .test_disturbances import elsewhere

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "admin:automate_chat_callrecord_changelist"


def run(turn: Turn) -> Turn:
    run_turn(turn.pk)
    turn.refresh_from_db()
    return turn


def outcomes() -> list[tuple[str, str, str]]:
    rows = CallRecord.objects.order_by("pk")
    return [(row.tool_name, row.outcome, row.permission) for row in rows]


def record(**fields: Any) -> CallRecord:
    return CallRecord.objects.create(
        **{"user_name": "ann", "tool_name": "shop__search", "outcome": "succeeded", **fields}
    )


@pytest.fixture
def auditor(db: None) -> Any:
    person = get_user_model().objects.create_user("audrey", is_staff=True)
    names = ["view_callrecord", "export_callrecord"]
    person.user_permissions.set(Permission.objects.filter(codename__in=names))
    return person


@pytest.fixture
def audit(auditor: Any, client: Client) -> Client:
    client.force_login(auditor)
    return client


def test_every_call_leaves_one_line_with_its_share_of_the_cost(
    model: Any, ask: Any, shop: Any, settings: Any
) -> None:
    shop(Offer("search"), Offer("fail", handler=lambda arguments: 1 / 0))
    model(
        [calls(("shop__search", {"q": "mugs"}), ("shop__fail", {}), ("shop__gone", {})), text("")]
    )
    settings.AUTOMATE["MODELS"]["default"]["PRICE"] = {"INPUT": 1_000, "OUTPUT": 0}

    turn = run(ask())

    assert sorted(outcomes()) == [
        ("shop__fail", "failed", "policy"),
        ("shop__gone", "refused", ""),
        ("shop__search", "succeeded", "policy"),
    ]
    found = CallRecord.objects.get(tool_name="shop__search")
    call = ToolCall.objects.get(function_name="shop__search")
    assert found.tool == MCPTool.objects.get(name="search")
    assert (found.user_name, found.server_name, found.tool_version) == ("ann", "Shop", 1)
    assert (found.conversation, found.call) == (turn.conversation_id, call.pk)
    assert found.arguments == {"q": "mugs"}
    assert found.milliseconds is not None and found.result_characters == len(call.result_text)
    assert found.cost == Decimal("0.004")  # of 12 tokens for three calls
    assert CallRecord.objects.get(tool_name="shop__gone").milliseconds is None


@pytest.mark.parametrize(
    ("decide", "outcome", "decision"),
    [
        (lambda approval, user: approve(approval, user), "succeeded", "Approved: ann (Once)"),
        (
            lambda approval, user: approve(approval, user, arguments={"q": "cups"}),
            "succeeded",
            "Approved: ann (Once, with other arguments)",
        ),
        (lambda approval, user: deny(approval, user), "refused", "Denied: ann"),
    ],
)
def test_who_decided_is_on_record(
    model: Any, ask: Any, shop: Any, user: Any, decide: Any, outcome: str, decision: str
) -> None:
    shop(Offer("order"))
    model([calls(("shop__order", {"q": "mugs"})), text("Done.")], APPROVAL_DEFAULT="ask")
    turn = run(ask())
    assert outcomes() == []

    decide(Approval.objects.get(), user)
    run(turn)

    assert outcomes() == [("shop__order", outcome, "person")]
    assert CallRecord.objects.get().decision == decision


def test_a_call_that_was_lost_and_resolved_has_both_lines(
    model: Any, ask: Any, shop: Any, user: Any
) -> None:
    def die() -> None:
        let_lease_run_out()
        assert recover_abandoned() == 1

    shop(Offer("order", handler=elsewhere(die)))
    model([calls(("shop__order", {})), text("Done.")])
    run(ask())

    resolve(ToolCall.objects.get(), user, "done")

    assert [row[1] for row in outcomes()] == ["unknown", "succeeded"]
    assert CallRecord.objects.latest("pk").decision == "What became of it says: ann"


def test_it_outlives_the_conversation_the_tool_and_the_person(
    model: Any, ask: Any, shop: Any, user: Any
) -> None:
    shop(Offer("search"))
    model([calls(("shop__search", {})), text("Done.")])
    run(ask()).conversation.delete()
    MCPTool.objects.get().server.delete()
    user.delete()

    found = CallRecord.objects.get()
    assert (found.user, found.tool) == (None, None)
    assert (found.user_name, found.server_name, found.tool_name) == ("ann", "Shop", "shop__search")


def test_nothing_changes_a_record(db: None) -> None:
    kept = record()
    kept.outcome = "failed"
    for change in (
        kept.save,
        kept.delete,
        CallRecord.objects.all().delete,
        lambda: CallRecord.objects.update(outcome="failed"),
    ):
        with pytest.raises(TypeError):
            change()
    assert CallRecord.objects.get().outcome == "succeeded"


def test_arguments_lose_what_looks_secret_and_what_is_too_long(db: None) -> None:
    tool = MCPTool(
        input_schema={"properties": {"door": {"writeOnly": True}, "word": {"format": "password"}}}
    )
    shown = shown_arguments(
        {
            "door": "1234",
            "word": "open",
            "city": "Oslo",
            "login": {"user": "ann", "Password": "x", "API-Key": "x", "list": [{"pin": 1}]},
            "long": "a" * 5_000,
            "many": list(range(5_000)),
        },
        tool,
    )
    assert {name: shown[name] for name in ("door", "word", "city")} == {
        "door": "[redacted]",
        "word": "[redacted]",
        "city": "Oslo",
    }
    assert shown["login"] == {
        "user": "ann",
        "Password": "[redacted]",
        "API-Key": "[redacted]",
        "list": [{"pin": "[redacted]"}],
    }
    assert shown["long"].endswith("a… (5,000 characters)")
    assert shown["many"][-1] == "… (5,000 items)"
    assert len(json.dumps(shown)) < 3_000


def test_an_auditor_sees_the_lines_and_can_change_none(audit: Client) -> None:
    kept = record(tool_name="<script>alert(1)</script>", arguments={"q": "<b>"})
    page = audit.get(reverse(LIST)).content.decode()
    assert "&lt;script&gt;" in page and "<script>alert" not in page
    address = reverse("admin:automate_chat_callrecord_change", args=[kept.pk])
    assert "&lt;b&gt;" in audit.get(address).content.decode()
    assert audit.post(address, {"outcome": "failed"}).status_code == 403
    for name in ("add", "delete"):
        args = [] if name == "add" else [kept.pk]
        address = reverse(f"admin:automate_chat_callrecord_{name}", args=args)
        assert audit.post(address, {"post": "yes"}).status_code == 403


def test_without_the_permissions_there_is_no_page_and_no_export(
    auditor: Any, audit: Client
) -> None:
    record()
    auditor.user_permissions.set(Permission.objects.filter(codename="view_callrecord"))
    chosen = {"action": "export_csv", "_selected_action": [CallRecord.objects.get().pk]}
    assert audit.post(reverse(LIST), chosen).get("Content-Disposition") is None
    auditor.user_permissions.clear()
    assert audit.get(reverse(LIST)).status_code == 403


def test_a_call_leads_to_the_definition_by_which_it_was_made(admin_client: Client) -> None:
    server = MCPServer.objects.create(name="S", slug="s", endpoint_url="http://127.0.0.1:1/api")
    tool = MCPTool.objects.create(server=server, name="search", description="Finds.")
    line = record(tool=tool, tool_version=1)
    tool.description = "Deletes."
    tool.save()

    page = admin_client.get(reverse("admin:automate_chat_callrecord_change", args=[line.pk]))
    version = tool.versions.get(number=1)
    address = reverse("admin:automate_mcptoolversion_change", args=[version.pk])
    tool.delete()
    later = admin_client.get(reverse("admin:automate_chat_callrecord_change", args=[line.pk]))

    assert f'<a href="{address}">1</a>' in page.content.decode()
    assert version.definition["description"] == "Finds."
    assert later.status_code == 200


def test_the_list_costs_the_same_however_long_it_is(
    audit: Client, django_assert_max_num_queries: Any
) -> None:
    for _number in range(60):
        record()
    with django_assert_max_num_queries(11):
        audit.get(reverse(LIST))


def test_exports_say_the_same_and_no_cell_is_a_formula(audit: Client) -> None:
    record(user_name='=HYPERLINK("http://evil")', error="+1", arguments={"q": "ü"}, cost="0.5")
    record(created_at=timezone.now() - timedelta(days=1))
    chosen = {"_selected_action": list(CallRecord.objects.values_list("pk", flat=True))}

    answer = audit.post(reverse(LIST), {**chosen, "action": "export_csv"})
    assert answer["Content-Type"].startswith("text/csv")
    assert answer["Content-Disposition"].startswith('attachment; filename="tool-calls-')
    lines = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [line["user_name"] for line in lines] == ['\'=HYPERLINK("http://evil")', "ann"]
    assert lines[0]["error"] == "'+1" and json.loads(lines[0]["arguments"]) == {"q": "ü"}

    found = audit.post(reverse(LIST), {**chosen, "action": "export_json"}).json()
    assert [each["user_name"] for each in found] == ['=HYPERLINK("http://evil")', "ann"]
    assert found[0]["cost"] == "0.500000" and found[0]["arguments"] == {"q": "ü"}


def test_old_lines_go_by_a_command(db: None, capsys: Any) -> None:
    for days in (1, 29, 31, 400):
        record(created_at=timezone.now() - timedelta(days=days))
    call_command("delete_old_calls", "--days=30", "--dry-run")
    assert CallRecord.objects.count() == 4
    call_command("delete_old_calls", "--days=30")
    assert CallRecord.objects.count() == 2
    assert capsys.readouterr().out == "2 records are older than 30 days.\n2 records deleted.\n"
    with pytest.raises(CommandError):
        call_command("delete_old_calls", "--days=0")
