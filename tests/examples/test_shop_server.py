import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import CallToolResult

from config.demo.children import Child, ChildFailed

SCRIPT = Path(__file__).parents[2] / "examples" / "shop_server.py"
TOKEN = "a-token-for-the-shop"
Result = TypeVar("Result")


def a_shop(directory: Path, token: str = TOKEN) -> Child:
    return Child(
        "The shop",
        [str(SCRIPT), "--port", "0", "--exit-with-parent"],
        log=directory / "shop.log",
        environment={"SHOP_TOKEN": token},
    )


@pytest.fixture(scope="module")
def shop_address(tmp_path_factory):
    with a_shop(tmp_path_factory.mktemp("shop")) as child:
        yield child.address(20)


def ask(address: str, use: Callable[[Client], Awaitable[Result]], mode: str = "auto") -> Result:
    """Run `use` with the official client, connected to the shop."""

    async def run() -> Result:
        async with create_mcp_http_client({"Authorization": f"Bearer {TOKEN}"}) as http:
            transport = streamable_http_client(address, http_client=http)
            async with Client(transport, mode=mode) as client:
                return await use(client)

    return asyncio.run(run())


def call(address: str, name: str, **arguments: Any) -> CallToolResult:
    return ask(address, lambda client: client.call_tool(name, arguments))


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
def test_both_eras_of_the_protocol_list_the_tools(shop_address, mode):
    async def names(client):
        return {tool.name for tool in (await client.list_tools()).tools}

    listed = ask(shop_address, names, mode)

    assert listed == {
        "search_products",
        "check_stock",
        "place_order",
        "sales_report",
        "supplier_status",
    }


def test_every_tool_says_whether_it_only_reads(shop_address):
    async def hints(client):
        tools = (await client.list_tools()).tools
        return {tool.name: tool.annotations.read_only_hint for tool in tools}

    assert ask(shop_address, hints) == {
        "search_products": True,
        "check_stock": True,
        "place_order": False,
        "sales_report": True,
        "supplier_status": True,
    }


@pytest.mark.parametrize("query", ["blue mugs", "How many blue mugs are in stock?", "mug blue"])
def test_a_search_alone_says_how_many_blue_mugs_are_in_stock(shop_address, query):
    found = call(shop_address, "search_products", query=query).structured_content

    assert [product["sku"] for product in found["products"]] == [
        "MUG-BLUE",
        "MUG-BLUE-XL",
        "MUG-BLUE-TRAVEL",
    ]
    assert found["total_stock"] == sum(product["stock"] for product in found["products"])


def test_a_search_can_be_narrowed(shop_address):
    found = call(
        shop_address, "search_products", query="mugs", max_price=12, in_stock_only=True, limit=2
    ).structured_content

    assert len(found["products"]) == 2
    assert found["found"] == 3
    assert all(product["price"] <= 12 and product["stock"] for product in found["products"])


def test_a_search_without_a_match_is_empty(shop_address):
    found = call(shop_address, "search_products", query="bicycle").structured_content

    assert found == {"products": [], "found": 0, "total_stock": 0}


def test_an_order_takes_from_the_stock(shop_address):
    before = call(shop_address, "check_stock", sku="CANDLE-WAX").structured_content["stock"]

    order = call(
        shop_address, "place_order", sku="candle-wax", quantity=4, email="ada@example.com"
    ).structured_content

    assert order["stock_left"] == before - 4
    assert order["total"] == 22.0


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("check_stock", {"sku": "NOPE"}, "There is no product 'NOPE'"),
        (
            "place_order",
            {"sku": "POT-COFFEE", "quantity": 99, "email": "ada@example.com"},
            "Only 5 of 'Coffee pot' are in stock",
        ),
        ("supplier_status", {"supplier": "Clay & Sons"}, "down for maintenance"),
    ],
)
def test_a_failure_is_an_error_result_with_a_sentence(shop_address, name, arguments, sentence):
    result = call(shop_address, name, **arguments)

    assert result.is_error
    assert sentence in result.content[0].text


def test_the_sales_report_tells_of_its_progress(shop_address):
    heard: list[tuple[float, float | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total))

    async def report(client):
        return await client.call_tool(
            "sales_report", {"days": 7, "seconds": 0.1}, progress_callback=note
        )

    result = ask(shop_address, report)

    assert result.structured_content["days"] == 7
    assert heard == [(number, 20) for number in range(1, 21)]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
def test_without_the_token_it_answers_401(shop_address, headers):
    answer = requests.post(shop_address, json={}, headers=headers, timeout=5)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_it_ends_when_its_parent_does(tmp_path):
    child = a_shop(tmp_path)
    child.address(20)

    child.stop()

    assert child.exit_code == 0


def test_it_does_not_start_without_a_token(tmp_path):
    with a_shop(tmp_path, token="") as child, pytest.raises(ChildFailed, match="SHOP_TOKEN"):
        child.address(20)
