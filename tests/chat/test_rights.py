"""Every address and action × anonymous, a user, each of the ready groups, and a superuser."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from automate.models import MCPPrompt, MCPResource, MCPServer, MCPTool, ServerSync, ToolRule
from automate.models.versions import MCPToolVersion
from chat.budgets import today
from chat.management.commands.create_groups import GROUPS
from chat.models import (
    Approval,
    CallRecord,
    DailyUsage,
    Message,
    Question,
    Share,
    ToolCall,
    ToolGrant,
)

pytestmark = pytest.mark.django_db

ROLES = ("anonymous", "user", *GROUPS, "superuser")
APPS = ("automate", "automate_chat")


@pytest.fixture
def people(db: None) -> dict[str, Any]:
    call_command("create_groups", verbosity=0)
    make = get_user_model().objects.create_user
    found: dict[str, Any] = {"anonymous": AnonymousUser(), "user": make("user")}
    for name in GROUPS:
        found[name] = make(name, is_staff=True)
        found[name].groups.add(Group.objects.get(name=name))
    found["superuser"] = get_user_model().objects.create_superuser("root")
    return found


@pytest.fixture
def rows(ask: Any) -> Mapping[str, Any]:
    return make_rows(ask)


def make_rows(ask: Any) -> Mapping[str, Any]:
    """One row of every model that the admin shows; the conversation is Ann's."""
    server = MCPServer.objects.create(name="Shop", slug="shop", endpoint_url="http://127.0.0.1:1/")
    tool = MCPTool.objects.create(server=server, name="search")
    turn = ask()
    message = Message.objects.create(
        conversation=turn.conversation, turn=turn, role=Message.Role.ASSISTANT
    )
    call = ToolCall.objects.create(
        turn=turn, message=message, tool=tool, call_id="1", function_name="shop__search"
    )
    ann, later = turn.conversation.user, timezone.now() + timedelta(days=1)
    return {
        "mcpserver": server,
        "mcptool": tool,
        "mcptoolversion": MCPToolVersion.objects.get(tool=tool),
        "mcpprompt": MCPPrompt.objects.create(server=server, name="hello"),
        "mcpresource": MCPResource.objects.create(server=server, name="file", uri="file:///x"),
        "toolrule": ToolRule.objects.create(tool=tool, decision="ask"),
        "conversation": turn.conversation,
        "turn": turn,
        "toolcall": call,
        "approval": Approval.objects.create(call=call, user=ann, tool=tool, expires_at=later),
        "toolgrant": ToolGrant.objects.create(user=ann, tool=tool, definition_hash="x"),
        "question": Question.objects.create(
            call=call, round=1, key="k", mode="form", message="Who?", expires_at=later
        ),
        "share": Share.objects.create(user=ann, conversation=turn.conversation, turns=[]),
        "dailyusage": DailyUsage.objects.create(day=today(), user=ann),
        "callrecord": CallRecord.objects.create(
            user_name="ann", tool=tool, tool_name="search", outcome="succeeded"
        ),
    }


def sign_in(people: Mapping[str, Any]) -> dict[str, Client]:
    clients = {name: Client() for name in people}
    for name, person in people.items():
        if name != "anonymous":
            clients[name].force_login(person)
    return clients


def answered(response: Any) -> str:
    """One letter: Log in first, Forbidden, Not found, sent elsewhere (R), not by GET (M), or OK."""
    if response.status_code == 302 and "login" in response["Location"]:
        return "L"
    return {200: "O", 302: "R", 401: "L", 403: "F", 404: "N", 405: "M"}[response.status_code]


def addresses(patterns: Any, namespaces: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The full name and pattern of every address of ours."""
    for each in patterns:
        if isinstance(each, URLResolver):
            inner = (*namespaces, each.namespace) if each.namespace else namespaces
            yield from addresses(each.url_patterns, inner)
        elif isinstance(each, URLPattern) and each.name:
            yield ":".join((*namespaces, each.name)), each


def admin_addresses(rows: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, pattern in addresses(get_resolver().url_patterns):
        app = next((app for app in reversed(APPS) if name.startswith(f"admin:{app}_")), None)
        if app is None:
            continue
        short = name.removeprefix(f"admin:{app}_")
        model = short.split("_")[0]
        wanted = {
            "tool_id": lambda: rows["mcptool"].pk,
            "record_id": lambda: rows["callrecord"].pk,
            "object_id": lambda model=model: getattr(rows.get(model), "pk", uuid4()),
        }
        keys = {
            part: wanted.get(part, lambda model=model: rows[model].pk)()
            for part in pattern.pattern.converters
        }
        yield short, reverse(name, kwargs=keys)


# For each model of the admin who may look, add, change (by POST) and delete, in the order of ROLES.
NOBODY, ROOT, STAFF = "LLFFFF", "LLFFFO", "LLOOOO"
OPERATORS, AUDITORS = "LLOFFO", "LLFFOO"
MODELS = {
    "mcpserver": (STAFF, OPERATORS, OPERATORS, OPERATORS),
    "mcptool": (STAFF, NOBODY, OPERATORS, ROOT),
    "mcptoolversion": (STAFF, NOBODY, NOBODY, NOBODY),
    "mcpprompt": (STAFF, NOBODY, OPERATORS, NOBODY),
    "mcpresource": (STAFF, NOBODY, OPERATORS, NOBODY),
    "toolrule": (STAFF, OPERATORS, OPERATORS, OPERATORS),
    "callrecord": (AUDITORS, NOBODY, NOBODY, NOBODY),
    "dailyusage": (AUDITORS, NOBODY, NOBODY, NOBODY),
    **dict.fromkeys(
        (*("conversation", "turn", "toolcall", "approval", "toolgrant", "question", "share"),),
        (ROOT, NOBODY, NOBODY, NOBODY),
    ),
}
PAGES = {
    "dashboard_changelist": "LLOFOO",
    "mcpserver_import": OPERATORS,
    "mcpserver_registry": OPERATORS,
    "mcpserver_probe_new": "LLRFFR",  # takes what a form posts
    "mcpserver_probe": "LLRFFR",
    "mcpserver_sync_states": STAFF,
    "mcptool_review": STAFF,
    "callrecord_try": OPERATORS,
    "callrecord_again": ROOT,  # takes the right to see the record, too
}
TAKES = {"mcptool_review": "LLFOFO", "mcpserver_sync_states": STAFF}
"""Who may post to those pages that more people may look at."""

OF_SERVERS = ["delete_selected", "disable", "enable", "export_servers", "forget_accounts"]
OF_TOOLS = [
    *("allow", "ask_first", "disable", "enable", "leave_effect_to_server", "mark_as_destroying"),
    *("mark_as_reading", "mark_as_repeatable", "mark_as_writing"),
]
ACTIONS: Mapping[tuple[str, str], list[str]] = {
    ("mcpserver", "Tool operators"): [*OF_SERVERS, "sync_tools"],
    ("mcpserver", "Tool reviewers"): ["export_servers"],
    ("mcpserver", "Tool auditors"): ["export_servers"],
    ("mcpserver", "superuser"): [*OF_SERVERS, "sync_tools"],
    ("mcptool", "Tool operators"): OF_TOOLS,
    ("mcptool", "Tool reviewers"): ["review"],
    ("mcptool", "superuser"): sorted([*OF_TOOLS, "delete_selected", "review"]),
    ("callrecord", "Tool auditors"): ["export_csv", "export_json"],
    ("callrecord", "superuser"): ["export_csv", "export_json"],
    **{
        (model, role): names
        for role in ("Tool operators", "superuser")
        for model, names in (
            ("toolrule", ["delete_selected"]),
            ("mcpprompt", ["disable", "enable"]),
            ("mcpresource", ["disable", "enable"]),
        )
    },
}
OPEN_TO_ALL = {"chat:api", "chat:shared", "chat:shared-file", "chat:shared-attachment"}
"""Addresses of the chat with keys whose rights other tests show."""


def expected(name: str) -> str:
    if name in PAGES:
        return PAGES[name]
    model, page = name.rsplit("_", 1)
    look, add, _change, delete = MODELS[model]
    return {"add": add, "delete": delete}.get(page, look)


def test_every_page_of_the_admin_is_for_those_who_may(rows: Any, people: Any) -> None:
    clients = sign_in(people)
    found = {
        name: "".join(answered(clients[role].get(address)) for role in ROLES)
        for name, address in admin_addresses(rows)
    }
    assert found == {name: expected(name) for name in found}
    assert set(PAGES) <= set(found)


def test_no_page_takes_what_is_posted_by_those_who_may_only_look(rows: Any, people: Any) -> None:
    clients = sign_in(people)
    for name, address in admin_addresses(rows):
        if name.endswith("_history") or name.endswith("_changelist"):
            continue  # a list takes actions, see below
        said = "".join(answered(clients[role].post(address, {})) for role in ROLES)
        if name in PAGES:
            wanted = TAKES.get(name, PAGES[name])
        else:
            model, page = name.rsplit("_", 1)
            wanted = MODELS[model][("look", "add", "change", "delete").index(page)]
        assert said.replace("R", "O") == wanted.replace("R", "O"), name


def test_every_action_is_offered_to_those_who_may(rows: Any, people: Any) -> None:
    clients = sign_in(people)
    found = {}
    for model in admin.site._registry:
        if model._meta.app_label in APPS:
            name = str(model._meta.model_name)
            address = reverse(f"admin:{model._meta.app_label}_{name}_changelist")
            for role in ROLES:
                context = getattr(clients[role].get(address), "context_data", None) or {}
                if form := context.get("action_form"):
                    names = sorted(name for name, _words in form.fields["action"].choices if name)
                    found[name, role] = names
    assert found == ACTIONS


def test_of_what_is_anothers_the_chat_says_that_it_does_not_exist(rows: Any, people: Any) -> None:
    clients = sign_in(people)
    keys = {
        "conversation_id": rows["conversation"].pk,
        "turn_id": rows["turn"].pk,
        "call_id": rows["toolcall"].pk,
        "approval_id": rows["approval"].pk,
        "question_id": rows["question"].pk,
        "grant_id": rows["toolgrant"].pk,
        "file_id": 1,
        "attachment_id": 1,
        "prompt_id": 0,
        "share_id": uuid4(),
        "form": "json",
    }
    for name, pattern in addresses(get_resolver().url_patterns):
        wanted = pattern.pattern.converters
        if name.startswith("chat:") and wanted and name not in OPEN_TO_ALL:
            address = reverse(name, kwargs={part: keys[part] for part in wanted})
            for role in ROLES:
                said = answered(clients[role].get(address))
                if said == "M":
                    said = answered(clients[role].post(address))
                assert said == ("L" if role == "anonymous" else "N"), (name, role)


def test_the_groups_are_made_once_and_keep_what_was_added(db: None, capsys: Any) -> None:
    call_command("create_groups")
    group = Group.objects.get(name="Tool reviewers")
    extra = Permission.objects.get(codename="view_dashboard")
    group.permissions.add(extra)
    group.permissions.remove(Permission.objects.get(codename="review_mcptool"))
    call_command("create_groups")
    assert group.permissions.filter(codename__in=["review_mcptool", "view_dashboard"]).count() == 2
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "Tool reviewers: was there, 1 permissions added.",
        "Tool auditors: was there, 0 permissions added.",
    ]
    for name, wanted in GROUPS.items():
        assert Group.objects.get(name=name).permissions.count() >= len(wanted)


def test_every_page_of_the_admin_is_shown_where_times_have_no_zone(
    settings: Any, ask: Any, admin_client: Client
) -> None:
    settings.USE_TZ = False
    rows = make_rows(ask)
    status = ServerSync.Status.RUNNING
    now = timezone.now()
    ServerSync.objects.create(
        server=rows["mcpserver"], status=status, queued_at=now, started_at=now
    )
    shown = {name: answered(admin_client.get(url)) for name, url in admin_addresses(rows)}
    assert shown == {name: expected(name)[-1] for name in shown}
