"""The model and the shop of the crash exam."""

import os
from collections import Counter
from signal import SIGKILL
from typing import Any

from tests.chat.strict_api import problems_of
from tests.servers.scripted_replies import Reply, Request, calls, status, text

TOOLS = [
    {"name": name, "description": name, "inputSchema": {"type": "object"}}
    for name in ("order", "pay")
]


class Peers:
    """The model and the shop: what they are asked for, and what they did."""

    def __init__(self) -> None:
        self.effects: Counter[tuple[str, str]] = Counter()
        self.victim = 0
        """The process that the shop kills while a call of it is out; 0: none."""
        self.dies_in = ""
        """The call of which that is."""

    def say(self, request: Request) -> Reply:
        """Order twice at once, pay when both have an answer, then say so."""
        if problems := problems_of(request.messages):
            return status(400, {"error": {"message": "; ".join(problems)}})
        last = max(at for at, each in enumerate(request.messages) if each["role"] == "user")
        sentence = request.messages[last]["content"]
        answered = sum(each["role"] == "tool" for each in request.messages[last:])
        if answered == 0:
            wanted = [("shop__order", {"for": sentence, "what": what}) for what in ("mug", "cup")]
            return calls(*wanted, content="Let me see what there is.")
        if answered == 2:
            return calls(("shop__pay", {"for": sentence, "what": "bill"}))
        return text("Both are on their way, and the bill is paid.")

    def do(self, tool: str, arguments: dict[str, Any]) -> str:
        """The effect, counted; then the caller may die."""
        self.effects[arguments["for"], arguments["what"]] += 1
        if self.victim and arguments["what"] == self.dies_in:
            victim, self.victim = self.victim, 0
            os.kill(victim, SIGKILL)
        return "done"
