"""A conversation with the demo model, and a small shop to talk about."""

import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from examples.branches_server import TOOLS as BRANCH_TOOLS
from examples.wordmodel.planning import Reply, reply

from .demo_model_tools import JSON, text, tool

Answer = Any | Callable[..., Any]

SKU = "The product's number, such as MUG-BLUE."
SEARCH = tool(
    "shop__search_products",
    "Find products by words, with their prices.",
    query=text("Words of a name"),
    max_price="number",
)
STOCK = tool("shop__check_stock", "Say how many pieces are in stock.", sku=text(SKU))
ORDER = tool(
    "shop__place_order",
    "Order a product for a customer.",
    sku=text(SKU),
    quantity={"type": "integer", "minimum": 1, "!": True},
    email=text("Where the confirmation goes", format="email"),
)
SHOP = [SEARCH, STOCK, ORDER]
BRANCHES = [tool(f"branches__{each['name']}", each["description"]) for each in BRANCH_TOOLS]
for definition, described in zip(BRANCHES, BRANCH_TOOLS, strict=True):
    definition["function"]["parameters"] = described["inputSchema"]

BLUE = [{"sku": "MUG-BLUE", "name": "Blue mug"}, {"sku": "MUG-XL", "name": "Large blue mug"}]


def stock_of(sku: str) -> JSON:
    return {"sku": sku, "stock": {"MUG-BLUE": 42, "MUG-XL": 17}[sku]}


class Talk:
    """A conversation: the model's calls are answered from a table until it says something."""

    def __init__(self, tools: list[JSON], answers: Mapping[str, Answer]) -> None:
        self.tools, self.answers = tools, answers
        self.messages: list[JSON] = [{"role": "system", "content": "You are helpful."}]
        self.calls: list[tuple[str, JSON]] = []

    def say(self, words: str) -> str:
        self.messages.append({"role": "user", "content": words})
        for _ in range(10):
            said = self._step()
            if not said.calls:
                self.messages.append({"role": "assistant", "content": said.text})
                return said.text
        raise AssertionError("the model never stopped")

    def _step(self) -> Reply:
        request = {"messages": self.messages, "tools": self.tools}
        said = reply(request, today=date(2026, 11, 20))
        requested = []
        for number, call in enumerate(said.calls):
            self.calls.append((call.name, dict(call.arguments)))
            function = {"name": call.name, "arguments": json.dumps(call.arguments)}
            call_id = f"call_{len(self.messages)}_{number}"
            requested.append({"id": call_id, "type": "function", "function": function})
        if requested:
            self.messages.append({"role": "assistant", "content": None, "tool_calls": requested})
        for call, entry in zip(said.calls, requested, strict=True):
            answer = self.answers[call.name]
            content = answer(**call.arguments) if callable(answer) else answer
            content = content if isinstance(content, str) else json.dumps(content)
            self.messages.append({"role": "tool", "tool_call_id": entry["id"], "content": content})
        return said
