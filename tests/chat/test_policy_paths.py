"""No path runs a tool that the person may not see, whatever the rules and permissions are."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from automate.catalog import catalog_for
from automate.conf import Settings, conf
from automate.models import MCPServer, MCPTool, ToolRule
from automate_llm.providers.base import RequestedCall
from chat.arguments import arguments_hash
from chat.checking import CallChecker
from chat.limits import TurnLimits
from chat.models import Approval, Conversation, Message, ToolCall, Turn
from tests.thoroughness import examples

pytestmark = pytest.mark.django_db

Status = ToolCall.Status
PERMISSIONS = ["", "auth.view_user", "auth.view_group"]
SCHEMAS = [
    None,
    {"properties": {"amount": {"type": "number", "maximum": 50}}, "required": ["amount"]},
    {"properties": {"amount": {"exclusiveMinimum": 500}}},
    {"$ref": "#/nowhere"},
]
ARGUMENTS = ["{}", '{"amount": 10}', '{"amount": 1000}', '{"amount": "x"}']
ANSWERS = [None, "allow", "ask", "deny", "rubbish"]

rules = st.lists(
    st.fixed_dictionaries(
        {
            "decision": st.sampled_from(["allow", "ask", "deny"]),
            "schema": st.sampled_from(SCHEMAS),
            "what": st.sampled_from(["all", "server", "tool"]),
            "who": st.sampled_from(["everybody", "group", "user"]),
            "which": st.integers(0, 3),
        }
    ),
    max_size=5,
)
permissions = st.lists(st.sampled_from(PERMISSIONS), min_size=6, max_size=6)
memberships = st.sets(st.sampled_from([(person, group) for person in range(3) for group in (0, 1)]))
held = st.sets(st.tuples(st.sampled_from(range(5)), st.sampled_from(PERMISSIONS[1:])))
defaults = st.sampled_from(["annotations", "allow", "ask", "deny"])
hooks = st.none() | st.lists(st.sampled_from(ANSWERS), min_size=8, max_size=8)

HOOK: list[Any] = []


def decide(user: Any, tool: MCPTool, arguments: Any) -> Any:
    number = int(tool.name[-1])
    return HOOK[number + 4 * (arguments is not None)]


class Site:
    """Three people and somebody who has left, two groups, two servers with two tools each."""

    def __init__(self) -> None:
        self.people = [User.objects.create_user(name) for name in ("ann", "bob", "eve", "left")]
        User.objects.filter(username="left").update(is_active=False)
        User.objects.filter(username="eve").update(is_superuser=True)
        self.groups = [Group.objects.create(name=name) for name in ("clerks", "bosses")]
        self.servers = [
            MCPServer.objects.create(name=slug, slug=slug, endpoint_url="http://127.0.0.1:1/")
            for slug in ("shop", "bank")
        ]
        self.tools = [
            MCPTool.objects.create(
                server=self.servers[number // 2],
                name=f"tool_{number}",
                effect="read_only" if number % 2 else "",
                needs_second_person=number == 3,
            )
            for number in range(4)
        ]

    def set_up(self, written: Any, required: Any, members: Any, holding: Any) -> None:
        for row, permission in zip([*self.tools, *self.servers], required, strict=True):
            type(row).objects.filter(pk=row.pk).update(required_permission=permission)
        for person, group in members:
            self.people[person].groups.add(self.groups[group])
        for who, permission in holding:
            row = Permission.objects.get(codename=permission.split(".")[1])
            holder: Any = [*self.people[:3], *self.groups][who]
            (holder.user_permissions if who < 3 else holder.permissions).add(row)
        for each in written:
            ToolRule.objects.create(
                decision=each["decision"],
                argument_schema=each["schema"],
                server=self.servers[each["which"] % 2] if each["what"] == "server" else None,
                tool=self.tools[each["which"]] if each["what"] == "tool" else None,
                group=self.groups[each["which"] % 2] if each["who"] == "group" else None,
                user=self.people[each["which"] % 3] if each["who"] == "user" else None,
            )


def forbidden(person: User) -> set[str]:
    """What this person may not see: told apart from the code, by the rows as they are."""
    groups = set(person.groups.values_list("pk", flat=True))
    found = set()
    for tool in MCPTool.objects.select_related("server"):
        required = {tool.required_permission, tool.server.required_permission} - {""}
        denied = any(
            rule.decision == "deny"
            and rule.argument_schema is None
            and rule.tool_id in (None, tool.pk)
            and rule.server_id in (None, tool.server_id)
            and rule.user_id in (None, person.pk)
            and (rule.group_id is None or rule.group_id in groups)
            for rule in ToolRule.objects.all()
        )
        if denied or not person.is_active or not person.has_perms(required):
            found.add(tool.function_name)
    return found


def let_through(person: User) -> set[str]:
    """What a model may ask for and is not refused, be it after asking."""
    settings = replace(conf(), MAX_REPAIRS=1_000)
    turn = Turn(conversation=Conversation.objects.create(user=person))
    checker = CallChecker(turn, TurnLimits(settings), settings)
    asked = product(MCPTool.objects.values_list("function_name", flat=True), ARGUMENTS)
    calls, _approvals = checker.checked([RequestedCall("1", *each) for each in asked])
    return {call.function_name for call in calls if call.status != Status.REFUSED}


def resumed(person: User) -> set[str]:
    """What would be sent of calls that a person approved before the rules came."""
    conversation = Conversation.objects.create(user=person)
    turn = Turn.objects.create(conversation=conversation)
    answer = Message.objects.create(
        conversation=conversation, role=Message.Role.ASSISTANT, turn=turn
    )
    checker = CallChecker(turn, TurnLimits(Settings()), Settings())
    found = set()
    for tool in MCPTool.objects.all():
        call = ToolCall.objects.create(
            turn=turn,
            message=answer,
            tool=tool,
            tool_version=tool.version,
            call_id=tool.name,
            function_name=tool.function_name,
            arguments={"amount": 10},
        )
        Approval.objects.create(
            call=call,
            user=person,
            tool=tool,
            arguments_hash=arguments_hash(call.arguments),
            status=Approval.Status.APPROVED,
            needs_second_person=True,
            expires_at="2100-01-01T00:00Z",
        )
        if checker.checked_again(call) == ("", None):
            found.add(tool.function_name)
    return found


@pytest.fixture
def site(db: None) -> Site:
    return Site()


@hypothesis_settings(
    max_examples=examples(50),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each example writes many rows
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    written=rules,
    required=permissions,
    members=memberships,
    holding=held,
    default=defaults,
    hook=hooks,
)
def test_no_path_runs_a_tool_that_the_person_may_not_see(
    site: Site,
    settings: Any,
    written: Any,
    required: Any,
    members: Any,
    holding: Any,
    default: str,
    hook: Any,
) -> None:
    HOOK[:] = hook or []
    settings.AUTOMATE = {
        "APPROVAL_DEFAULT": default,
        "POLICY": f"{__name__}.decide" if hook else "",
    }
    with transaction.atomic():
        site.set_up(written, required, members, holding)
        for each in site.people:
            person = User.objects.get(pk=each.pk)
            shown = set(catalog_for(person).tool_ids)
            run = let_through(person) | resumed(person)

            assert run <= shown
            assert not shown & forbidden(person)
            assert shown <= {t.function_name for t in MCPTool.objects.usable_by(person)}
        transaction.set_rollback(True)
