"""The admin of who may call what, as an operator's browser uses it."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from automate.models import MCPServer, MCPTool, ToolRule

from .policy_making import UP_TO_50, add_tool

TOOLS = "/admin/automate/mcptool/"
RULES = "/admin/automate/toolrule/"
NO_RULES = {"rules-TOTAL_FORMS": "0", "rules-INITIAL_FORMS": "0"}
pytestmark = pytest.mark.django_db


def page_of(row: Any) -> str:
    return reverse(f"admin:automate_{row._meta.model_name}_change", args=[row.pk])


def act(client: Client, action: str, *tools: MCPTool) -> list[str]:
    chosen = [tool.pk for tool in tools]
    answer = client.post(TOOLS, {"action": action, "_selected_action": chosen}, follow=True)
    return [str(each) for each in answer.context["messages"]]


def add_rule(client: Client, **fields: Any) -> Any:
    return client.post(f"{RULES}add/", {"decision": "ask", "note": "", **fields})


def inline(**fields: Any) -> dict[str, Any]:
    rows = {"rules-TOTAL_FORMS": "1", "rules-INITIAL_FORMS": "0"}
    return rows | {f"rules-0-{name}": value for name, value in fields.items()}


def test_a_rule_is_added_and_listed_with_what_whom_and_why(admin_client: Client) -> None:
    tool, group = add_tool(), Group.objects.create(name="Clerks")
    fields = {"tool": tool.pk, "group": group.pk, "note": "Money leaves the house."}

    answer = add_rule(admin_client, **fields, argument_schema=json.dumps(UP_TO_50))

    assert answer.status_code == 302
    page = admin_client.get(RULES).content.decode()
    for words in ("Ask first", "Shop: refund", "group Clerks", "maximum", "Money leaves"):
        assert words in page


def errors(answer: Any) -> dict[str, list[str]]:
    form = answer.context["adminform"].form
    return {name: list(problems) for name, problems in form.errors.items()}


def test_fields_that_contradict_each_other_are_said_at_the_field(admin_client: Client) -> None:
    tool, group = add_tool(), Group.objects.create(name="Clerks")
    person = User.objects.create_user("ann")
    both = {"tool": tool.pk, "server": tool.server_id, "group": group.pk, "user": person.pk}

    assert errors(add_rule(admin_client, **both, argument_schema="[1]")) == {
        "argument_schema": ["Write a JSON Schema: an object."],
        "tool": ["Choose a server or one tool, not both."],
        "user": ["Choose a group or one person, not both."],
    }


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("{", "Enter a valid JSON."),
        ("[]", "an object"),
        ('{"amount": {"maximum": 50}}', "is no keyword"),
        ('{"properties": {"amount": {"type": "number"}}}', 'Add "required"'),
        ('{"type": "number"}', "must be"),
        ("[" * 5_000, "valid JSON"),
    ],
)
def test_a_schema_that_cannot_be_meant_is_explained(
    admin_client: Client, schema: str, words: str
) -> None:
    answer = add_rule(admin_client, decision="allow", argument_schema=schema)

    [problem] = errors(answer)["argument_schema"]
    assert words in problem
    assert not ToolRule.objects.exists()


def test_rules_are_written_on_the_page_of_a_tool_and_of_a_server(admin_client: Client) -> None:
    tool = add_tool()
    group = Group.objects.create(name="Clerks")

    page = page_of(tool)
    answer = admin_client.post(page, {"enabled": "on", **inline(decision="deny", group=group.pk)})
    assert answer.status_code == 302
    server = {
        **{"name": "Shop", "slug": "shop", "endpoint_url": "http://127.0.0.1:1/api"},
        **{"enabled": "on", "auth_type": "none", "auth_header": "X-API-Key", "protocol": "auto"},
        **{"oauth-TOTAL_FORMS": "0", "oauth-INITIAL_FORMS": "0"},
    }
    answer = admin_client.post(page_of(tool.server), {**server, **inline(decision="ask")})
    assert answer.status_code == 302

    of_tool, of_server = ToolRule.objects.all()
    assert (of_tool.tool, of_tool.group, of_tool.server) == (tool, group, None)
    assert (of_server.server, of_server.tool) == (tool.server, None)
    assert page_of(of_server) in admin_client.get(page).content.decode()


def test_the_policy_of_a_tool_is_edited_on_its_page_and_nothing_else_is(
    admin_client: Client,
) -> None:
    tool = add_tool(description="Refunds.")
    MCPTool.objects.update(version=7)
    fields = {"effect": "destructive", "needs_second_person": "on"}

    answer = admin_client.post(
        page_of(tool),
        {"enabled": "on", **fields, "required_permission": "auth.view_user", **NO_RULES},
        follow=True,
    )

    row = MCPTool.objects.get()
    assert (row.effect, row.needs_second_person) == ("destructive", True)
    assert (row.required_permission, row.version, row.enabled) == ("auth.view_user", 7, True)
    assert "There is no permission" not in answer.content.decode()


@pytest.mark.parametrize("model", [MCPTool, MCPServer])
def test_a_permission_that_nobody_can_be_given_is_warned_of(
    admin_client: Client, model: Any
) -> None:
    add_tool()
    row = model.objects.get()
    fields = {
        **{"name": "Shop", "slug": "shop", "endpoint_url": "http://127.0.0.1:1/api"},
        **{"enabled": "on", "auth_type": "none", "auth_header": "X-API-Key", "protocol": "auto"},
        **{"oauth-TOTAL_FORMS": "0", "oauth-INITIAL_FORMS": "0", **NO_RULES},
        "required_permission": "orders.refund_ordr",
    }

    answer = admin_client.post(page_of(row), fields, follow=True)

    assert "There is no permission “orders.refund_ordr”" in answer.content.decode()
    assert model.objects.get().required_permission == "orders.refund_ordr"


def test_what_is_no_permission_is_refused(admin_client: Client) -> None:
    fields = {"enabled": "on", "required_permission": "refund orders", **NO_RULES}

    answer = admin_client.post(page_of(add_tool()), fields)

    assert "Write app_label.codename." in answer.content.decode()


def test_tools_are_asked_about_or_allowed_in_bulk_and_the_last_word_holds(
    admin_client: Client,
) -> None:
    tools = [add_tool("a"), add_tool("b")]
    kept = ToolRule.objects.create(tool=tools[0], decision="allow", argument_schema=UP_TO_50)

    act(admin_client, "ask_first", *tools)
    said = act(admin_client, "allow", *tools)

    assert said == ["2 tools have their rule for everybody."]
    rules = ToolRule.objects.exclude(pk=kept.pk)
    assert {(rule.tool, rule.decision) for rule in rules} == {(each, "allow") for each in tools}
    assert rules.count() == 2
    assert ToolRule.objects.filter(pk=kept.pk).exists()


def test_a_bulk_action_says_where_stricter_rules_win(admin_client: Client) -> None:
    tool = add_tool()
    ToolRule.objects.create(server=tool.server, decision="ask")

    assert len(act(admin_client, "allow", tool)) == 2
    assert len(act(admin_client, "ask_first", tool)) == 1


@pytest.mark.parametrize(
    ("action", "effect"),
    [
        ("mark_as_reading", "read_only"),
        ("mark_as_repeatable", "idempotent"),
        ("mark_as_writing", "write"),
        ("mark_as_destroying", "destructive"),
        ("leave_effect_to_server", ""),
    ],
)
def test_what_tools_do_is_said_in_bulk(admin_client: Client, action: str, effect: str) -> None:
    tools = [add_tool("a", effect="write"), add_tool("b", effect="destructive")]

    assert act(admin_client, action, *tools) == ["2 tools marked."]
    assert {tool.effect for tool in MCPTool.objects.all()} == {effect}


def test_rules_are_written_in_bulk_only_by_who_may_write_rules(client: Client) -> None:
    person = User.objects.create_user("op", password="op", is_staff=True)
    person.user_permissions.set(
        Permission.objects.filter(codename__in=["view_mcptool", "change_mcptool"])
    )
    client.force_login(person)

    act(client, "allow", add_tool())

    assert not ToolRule.objects.exists()
    assert "Allow without asking" not in client.get(TOOLS).content.decode()


@pytest.mark.parametrize(
    ("default", "fields", "words"),
    [
        ("annotations", {}, "Asks: nobody said"),
        ("annotations", {"annotations": {"readOnlyHint": True}}, "Allowed: its server says"),
        ("annotations", {"annotations": {"readOnlyHint": False}}, "Asks: its server says"),
        ("annotations", {"effect": "read_only"}, "Allowed: you said"),
        ("annotations", {"effect": "write"}, "Asks: you said"),
        ("annotations", {"needs_second_person": True}, "Asks: a second person"),
        ("ask", {}, "Asks: the site asks"),
        ("allow", {}, "Allowed: the site allows"),
        ("deny", {}, "Denied: the site denies"),
        ("alow", {}, "Denied: the site denies"),
    ],
)
def test_the_list_and_the_page_say_what_happens_by_default(
    admin_client: Client, settings: Any, default: str, fields: dict[str, Any], words: str
) -> None:
    settings.AUTOMATE = {"APPROVAL_DEFAULT": default}
    tool = add_tool(**fields)

    assert words in admin_client.get(TOOLS).content.decode()
    assert words in admin_client.get(page_of(tool)).content.decode()


@pytest.mark.parametrize("field", ["tool", "server", "user", "group"])
def test_what_a_rule_is_for_is_searched(admin_client: Client, field: str) -> None:
    add_tool()
    Group.objects.create(name="refund shop admin")
    where = {"app_label": "automate", "model_name": "toolrule", "field_name": field}
    word = {"tool": "refund", "server": "shop", "user": "admin", "group": "refund"}[field]

    found = admin_client.get("/admin/autocomplete/", {**where, "term": word}).json()["results"]

    assert len(found) == 1


def test_the_list_of_rules_takes_the_same_queries_for_two_and_for_twenty(
    admin_client: Client,
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get(RULES).status_code == 200
        return len(queries)

    def add(numbers: range) -> None:
        for number in numbers:
            person = User.objects.create_user(f"person{number}")
            ToolRule.objects.create(tool=add_tool(f"t{number}"), user=person, decision="ask")

    add(range(2))
    few = count()
    add(range(2, 20))

    assert count() == few
