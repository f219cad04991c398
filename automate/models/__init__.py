"""MCP servers, what they offer and what authorizes people there, as rows."""

from .oauth import MCPServerOAuth, OAuthToken, OAuthTokenQuerySet
from .offerings import MCPPrompt, MCPResource, OfferingQuerySet
from .rules import ToolRule, ToolRuleQuerySet
from .servers import MCPServer, MCPServerQuerySet
from .syncs import ServerSync, ServerSyncQuerySet
from .tools import MCPTool, MCPToolQuerySet
from .versions import MCPToolVersion, MCPToolVersionQuerySet, ToolReview

__all__ = [
    "MCPPrompt",
    "MCPResource",
    "MCPServer",
    "MCPServerOAuth",
    "MCPServerQuerySet",
    "MCPTool",
    "MCPToolQuerySet",
    "MCPToolVersion",
    "MCPToolVersionQuerySet",
    "OAuthToken",
    "OAuthTokenQuerySet",
    "OfferingQuerySet",
    "ToolReview",
    "ServerSync",
    "ServerSyncQuerySet",
    "ToolRule",
    "ToolRuleQuerySet",
]
