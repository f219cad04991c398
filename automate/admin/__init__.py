"""The admin of MCP servers and what they offer."""

from .offerings import MCPPromptAdmin, MCPResourceAdmin
from .rules import ToolRuleAdmin
from .servers import MCPServerAdmin
from .tools import MCPToolAdmin
from .versions import MCPToolVersionAdmin

__all__ = [
    "MCPPromptAdmin",
    "MCPResourceAdmin",
    "MCPServerAdmin",
    "MCPToolAdmin",
    "MCPToolVersionAdmin",
    "ToolRuleAdmin",
]
