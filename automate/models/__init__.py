"""MCP servers and their tools, as rows."""

from .servers import MCPServer, MCPServerQuerySet
from .tools import MCPTool, MCPToolQuerySet

__all__ = ["MCPServer", "MCPServerQuerySet", "MCPTool", "MCPToolQuerySet"]
