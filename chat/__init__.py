"""Conversations, turns, tool calls, the turn engine and the chat pages."""
