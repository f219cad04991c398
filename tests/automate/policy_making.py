"""Rules, and what they come to for one person, for the tests of the policy."""

import json
from typing import Any

from django.contrib.auth.models import User

from automate.catalog import catalog_for
from automate.models import MCPServer, MCPTool, ToolRule
from automate.policy import Decision, Policy

from .making import TEXT_SCHEMA, add_server

UP_TO_50 = {
    "properties": {"amount": {"type": "number", "minimum": 0, "maximum": 50}},
    "required": ["amount"],
}
ABOVE_50 = {"properties": {"amount": {"exclusiveMinimum": 50}}, "required": ["amount"]}
ABOVE_500 = {"properties": {"amount": {"exclusiveMinimum": 500}}}


def add_tool(name: str = "refund", **fields: Any) -> MCPTool:
    server = fields.pop("server", None) or MCPServer.objects.first() or add_server()
    return MCPTool.objects.create(server=server, name=name, input_schema=TEXT_SCHEMA, **fields)


def rule(decision: Decision, schema: Any = None, **fields: Any) -> ToolRule:
    made = ToolRule(decision=decision, argument_schema=schema, **fields)
    made.full_clean()
    made.save()
    return made


def decision(user: User, tool: MCPTool, **arguments: Any) -> Decision:
    return Policy(user).verdict(tool, arguments).decision


def shown(user: User) -> set[str]:
    definitions = catalog_for(user).definitions
    names = {each["function"]["name"] for each in json.loads(definitions or b"[]")}
    return {name.removeprefix("shop__") for name in names}


def fresh(user: User) -> User:
    """The person as the next request has it: permissions are kept on the object."""
    return User.objects.get(pk=user.pk)
