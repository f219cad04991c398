"""MCP client, tool definitions, argument validation and model providers; knows no Django."""

__version__ = "0.1.0"
