"""The registry of MCP servers and their tools: rows, rights, secrets, sync and admin."""
