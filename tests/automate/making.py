"""Rows and descriptions for the tests of the registry."""

from typing import Any

from automate.models import MCPServer, MCPTool
from automate.reviewing import Decision, decide
from automate_llm.values import Discovery, ToolSpec

TEXT_SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}


def listed(name: str, description: str = "Does it.", schema: Any = None) -> dict[str, Any]:
    """A tool as a server of the simple HTTP dialect lists it."""
    return {"name": name, "description": description, "inputSchema": schema or TEXT_SCHEMA}


def spec(name: str, description: str = "Does it.", **parts: Any) -> ToolSpec:
    """A tool as the client hands it over."""
    return ToolSpec(name, description, parts.pop("input_schema", TEXT_SCHEMA), **parts)


def discovery(*tools: ToolSpec) -> Discovery:
    """What the client found out, its digest made of what the tools are."""
    return Discovery(tools=tools, skipped=(), digest=repr(tools)[:64], protocol="rest")


def add_server(slug: str = "shop", url: str = "http://127.0.0.1:1/api", **fields: Any) -> MCPServer:
    """A server's row."""
    return MCPServer.objects.create(name=slug.title(), slug=slug, endpoint_url=url, **fields)


def decide_all(decision: Decision = Decision.APPROVED, by: Any = None) -> int:
    """Approve, or reject, every tool as it stands; gives how many there were."""
    shown = dict(MCPTool.objects.values_list("pk", "version"))
    return len(decide(shown, decision, by).tools)
