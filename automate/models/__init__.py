"""MCP servers, their tools and what authorizes people there, as rows."""

from .oauth import MCPServerOAuth, OAuthToken, OAuthTokenQuerySet
from .servers import MCPServer, MCPServerQuerySet
from .tools import MCPTool, MCPToolQuerySet

__all__ = [
    "MCPServer",
    "MCPServerOAuth",
    "MCPServerQuerySet",
    "MCPTool",
    "MCPToolQuerySet",
    "OAuthToken",
    "OAuthTokenQuerySet",
]
