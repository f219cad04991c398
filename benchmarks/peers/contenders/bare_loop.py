"""Bare HTTP and JSON in threads: the least that such a turn can cost in Python."""

import json
import threading
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from .pacing import QUESTION, SYSTEM_PROMPT, addresses, expect_answer, serve_in_threads

VERSION = "2025-06-18"


class Peer:
    """One address, with a kept connection for each thread."""

    def __init__(self, url: str, **headers: str) -> None:
        self._parts = urlsplit(url)
        self._headers = {"Content-Type": "application/json", **headers}
        self._local = threading.local()

    def post(self, path: str, message: Any) -> HTTPResponse:
        """The answer, its body unread."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = HTTPConnection(self._parts.netloc)
        connection.request(
            "POST", self._parts.path + path, json.dumps(message).encode(), self._headers
        )
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"HTTP {answer.status}: {answer.read(300)!r}")
        return answer  # type: ignore[no-any-return]


class Loop:
    """Asks the model and makes its calls until it answers."""

    def __init__(self, model: Peer, mcp: Peer) -> None:
        self._model, self._mcp = model, mcp
        self._tools = [
            {
                "type": "function",
                "function": {
                    "name": tool["name"],
                    "description": tool["description"],
                    "parameters": tool["inputSchema"],
                },
            }
            for tool in self._rpc("tools/list", {})["tools"]
        ]

    def turn(self) -> None:
        messages: list[Any] = [
            {"role": "system", "content": SYSTEM_PROMPT},
            {"role": "user", "content": QUESTION},
        ]
        while True:
            text, calls = self._streamed(messages)
            if not calls:
                expect_answer(text)
                return
            messages.append({"role": "assistant", "content": text or None, "tool_calls": calls})
            for call in calls:
                wanted = call["function"]
                arguments = json.loads(wanted["arguments"])
                found = self._rpc("tools/call", {"name": wanted["name"], "arguments": arguments})
                said = found["content"][0]["text"]
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": said})

    def _streamed(self, messages: list[Any]) -> tuple[str, list[Any]]:
        text, calls = "", []
        request = {
            "model": "scripted",
            "messages": messages,
            "tools": self._tools,
            "stream": True,
        }
        with self._model.post("/chat/completions", request) as answer:
            for line in answer:
                if not line.startswith(b"data: {"):
                    continue
                chunk = json.loads(line[6:])
                delta = chunk["choices"][0]["delta"] if chunk["choices"] else {}
                text += delta.get("content") or ""
                for part in delta.get("tool_calls") or ():
                    if part.get("id"):
                        function = {"name": part["function"]["name"], "arguments": ""}
                        calls.append({"id": part["id"], "type": "function", "function": function})
                    calls[-1]["function"]["arguments"] += part["function"].get("arguments") or ""
        return text, calls

    def _rpc(self, method: str, params: Any) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        with self._mcp.post("", message) as answer:
            return json.loads(answer.read())["result"]


def main() -> None:
    where = addresses()
    accepted = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": VERSION}
    loop = Loop(Peer(where.model), Peer(where.mcp, **accepted))
    serve_in_threads(loop.turn)


if __name__ == "__main__":
    main()
