"""The admin of MCP servers and their tools."""

from .servers import MCPServerAdmin
from .tools import MCPToolAdmin

__all__ = ["MCPServerAdmin", "MCPToolAdmin"]
