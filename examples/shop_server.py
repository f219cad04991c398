"""A little shop as an MCP server, on the official SDK: streamable HTTP with a bearer token.

Run it by itself: `SHOP_TOKEN=secret python examples/shop_server.py --port 8765`. It speaks the
stateless protocol of 2026-07-28 and, to older clients, the versions that begin with a handshake.
"""

import argparse
import asyncio
import contextlib
import hmac
import os
import socket
import sys
import threading
from dataclasses import dataclass
from typing import Annotated

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class Article:
    sku: str
    name: str
    category: str
    price: float
    stock: int
    sold_a_day: int


ARTICLES = [
    Article("MUG-BLUE", "Blue mug", "mugs", 9.50, 42, 6),
    Article("MUG-BLUE-XL", "Large blue mug", "mugs", 12.90, 17, 3),
    Article("MUG-BLUE-TRAVEL", "Blue travel mug with lid", "mugs", 19.00, 0, 4),
    Article("MUG-RED", "Red mug", "mugs", 9.50, 31, 5),
    Article("MUG-WHITE", "White mug", "mugs", 8.50, 64, 8),
    Article("MUG-ENAMEL", "Green enamel mug", "mugs", 14.00, 12, 2),
    Article("CUP-ESPRESSO", "Espresso cup", "cups", 6.00, 80, 9),
    Article("CUP-TEA", "Glass tea cup", "cups", 7.50, 25, 3),
    Article("PLATE-DINNER", "Dinner plate", "plates", 11.00, 48, 4),
    Article("PLATE-DESSERT", "Blue dessert plate", "plates", 8.00, 36, 3),
    Article("BOWL-SOUP", "Soup bowl", "bowls", 9.00, 22, 3),
    Article("BOWL-SALAD", "Large salad bowl", "bowls", 24.00, 9, 1),
    Article("POT-TEA", "Teapot", "pots", 29.00, 7, 1),
    Article("POT-COFFEE", "Coffee pot", "pots", 32.00, 5, 1),
    Article("KETTLE-STEEL", "Steel kettle", "kitchen", 45.00, 11, 1),
    Article("JUG-WATER", "Glass water jug", "kitchen", 18.00, 14, 2),
    Article("TOWEL-LINEN", "Linen tea towel", "textiles", 7.00, 90, 7),
    Article("APRON-BLUE", "Blue apron", "textiles", 22.00, 15, 1),
    Article("SPOON-TEA", "Set of six tea spoons", "cutlery", 16.00, 28, 2),
    Article("CANDLE-WAX", "Beeswax candle", "gifts", 5.50, 120, 11),
]
BY_SKU = {article.sku: article for article in ARTICLES}


class Product(BaseModel):
    sku: str
    name: str
    price: float = Field(description="Euros for one piece.")
    stock: int = Field(description="Pieces in the warehouse.")


class SearchResult(BaseModel):
    products: list[Product]
    found: int = Field(description="Products that match, also those beyond the limit.")
    total_stock: int = Field(description="Pieces in stock of all that match.")


class StockLevel(BaseModel):
    sku: str
    name: str
    stock: int
    available: bool


class Order(BaseModel):
    order_number: str
    sku: str
    name: str
    quantity: int
    total: float = Field(description="Euros for the whole order.")
    email: str
    stock_left: int


class ProductSales(BaseModel):
    sku: str
    name: str
    sold: int
    revenue: float


class SalesReport(BaseModel):
    days: int
    revenue: float = Field(description="Euros over all products.")
    best_sellers: list[ProductSales]


shop = MCPServer(
    "Corner shop",
    version="1.0.0",
    instructions="Products, stock, orders and sales of a small shop. Prices are in euros.",
    log_level="WARNING",
)
orders: list[Order] = []

READ_ONLY = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
Sku = Annotated[str, Field(description="The product's number, such as MUG-BLUE.", max_length=40)]


def product(article: Article) -> Product:
    return Product(sku=article.sku, name=article.name, price=article.price, stock=article.stock)


def article_of(sku: str) -> Article:
    try:
        return BY_SKU[sku.strip().upper()]
    except KeyError:
        raise ToolError(
            f"There is no product {sku!r}. Find numbers with search_products."
        ) from None


def words(text: str) -> set[str]:
    """The words of a text, plurals cut to the singular."""
    return {word.strip(".,!?\"'").removesuffix("s") for word in text.lower().split()}


@shop.tool(title="Search products", annotations=READ_ONLY)
def search_products(
    query: Annotated[
        str, Field(description="Words of a name or category: 'blue mugs'.", max_length=200)
    ],
    max_price: Annotated[
        float | None, Field(description="The highest price in euros.", ge=0)
    ] = None,
    in_stock_only: Annotated[
        bool, Field(description="Leave out what is sold out at present.")
    ] = False,
    limit: Annotated[int, Field(description="The most products to list.", ge=1, le=50)] = 10,
) -> SearchResult:
    """Find products by words, with their prices and how many of each are in stock."""
    wanted = words(query)
    matches = {
        article.sku: len(wanted & words(f"{article.name} {article.category} {article.sku}"))
        for article in ARTICLES
    }
    best = max(matches.values())
    found = [
        article
        for article in ARTICLES
        if 0 < matches[article.sku] == best
        and (max_price is None or article.price <= max_price)
        and (article.stock or not in_stock_only)
    ]
    return SearchResult(
        products=[product(article) for article in found[:limit]],
        found=len(found),
        total_stock=sum(article.stock for article in found),
    )


@shop.tool(title="Check stock", annotations=READ_ONLY)
def check_stock(sku: Sku) -> StockLevel:
    """Say how many pieces of one product are in stock, by its product number."""
    article = article_of(sku)
    return StockLevel(
        sku=article.sku, name=article.name, stock=article.stock, available=article.stock > 0
    )


@shop.tool(
    title="Place an order",
    annotations=ToolAnnotations(
        read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
    ),
)
def place_order(
    sku: Sku,
    quantity: Annotated[int, Field(description="How many pieces.", ge=1, le=100)],
    email: Annotated[
        str,
        Field(
            description="Where the confirmation goes.",
            pattern=r"^[^@\s]+@[^@\s]+$",
            max_length=254,
            json_schema_extra={"format": "email"},
        ),
    ],
) -> Order:
    """Order a product for a customer. The stock goes down; two calls are two orders."""
    article = article_of(sku)
    if quantity > article.stock:
        raise ToolError(f"Only {article.stock} of {article.name!r} are in stock, not {quantity}.")
    article.stock -= quantity
    order = Order(
        order_number=f"A-{1001 + len(orders)}",
        sku=article.sku,
        name=article.name,
        quantity=quantity,
        total=round(article.price * quantity, 2),
        email=email,
        stock_left=article.stock,
    )
    orders.append(order)
    return order


@shop.tool(title="Sales report", annotations=READ_ONLY)
async def sales_report(
    context: Context,
    days: Annotated[int, Field(description="How many days back.", ge=1, le=365)],
    seconds: Annotated[
        float, Field(description="How long the calculation may take.", ge=0, le=60)
    ] = 3.0,
) -> SalesReport:
    """Add up the sales and revenue of the last days. Slow: it reports progress on its way."""
    sales = []
    for number, article in enumerate(ARTICLES, start=1):
        await asyncio.sleep(seconds / len(ARTICLES))
        sold = article.sold_a_day * days
        sales.append(
            ProductSales(
                sku=article.sku,
                name=article.name,
                sold=sold,
                revenue=round(sold * article.price, 2),
            )
        )
        await context.report_progress(number, len(ARTICLES), f"Added up {article.name}")
    sales.sort(key=lambda each: each.revenue, reverse=True)
    return SalesReport(
        days=days, revenue=round(sum(each.revenue for each in sales), 2), best_sellers=sales[:5]
    )


@shop.prompt(title="Weekly report", description="Asks for a report on how the shop did.")
def weekly_report(
    audience: Annotated[str, Field(description="Who will read it, such as 'the owner'.")],
    category: Annotated[str, Field(description="Only products of this category.")] = "",
) -> str:
    scope = f"the category {category}" if category else "all products"
    return (
        f"Write a short report on {scope} for {audience}: sales of the last seven days, what sells "
        "best, and what has to be ordered soon. Use the sales report and the stock."
    )


@shop.tool(title="Supplier status", annotations=READ_ONLY)
def supplier_status(
    supplier: Annotated[str, Field(description="The supplier's name.", max_length=100)],
) -> str:
    """Ask a supplier's own system when the next delivery comes."""
    raise ToolError(
        f"The system of supplier {supplier!r} is down for maintenance. Try again tomorrow."
    )


class BearerToken:
    """Lets a request through that carries the token; answers 401 to every other."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self.expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._allows(dict(scope["headers"])):
            await self.app(scope, receive, send)
            return
        await send(
            {
                "type": "http.response.start",
                "status": 401,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"www-authenticate", b"Bearer"),
                ],
            }
        )
        await send(
            {"type": "http.response.body", "body": b'{"error": "A bearer token is needed."}'}
        )

    def _allows(self, headers: dict[bytes, bytes]) -> bool:
        return hmac.compare_digest(headers.get(b"authorization", b""), self.expected)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free one")
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="end when standard input is closed"
    )
    options = parser.parse_args()
    token = os.environ.get("SHOP_TOKEN", "")
    if not token:
        parser.error("set the environment variable SHOP_TOKEN to the token that clients must send")

    app = BearerToken(shop.streamable_http_app(), token)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, lifespan="on")
    )
    listener = socket.create_server(("127.0.0.1", options.port))
    # Accepted sockets inherit it; asyncio leaves it off where a listener is handed over, and
    # small answers would then wait 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if options.exit_with_parent:

        def follow_parent() -> None:
            while os.read(sys.stdin.fileno(), 4096):
                pass
            server.should_exit = True

        threading.Thread(target=follow_parent, daemon=True).start()
    # From here on the kernel takes connections; they wait the moment until the server does.
    print(f"READY http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
