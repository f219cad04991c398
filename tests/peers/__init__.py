"""Holds the client to MCP servers that other people wrote, over real HTTP and real processes."""
