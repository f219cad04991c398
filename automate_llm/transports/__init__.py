"""The ways in which an MCP server is spoken to; `base` says what each of them offers."""
