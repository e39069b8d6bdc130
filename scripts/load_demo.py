"""Fill an empty shop with the demo catalog through the running API: `python -m scripts.load_demo [--base-url URL]`.

The catalog is `scripts/data/demo_catalog.json`. What exists is left as it is, so a second run, or one after
an interruption, only adds what is missing: categories are found by name, products by sku, clients by
e-mail, addresses and reviews by their whole content, orders by the number of their bill. Where the shop lets
customers alone write reviews (AUTH=on), the reviews are left out.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from models.order import OrderStatus
from schemas.json_codec import to_json
from scripts.api_client import ApiClient, Row, name_shop, run_script
from scripts.api_errors import EXIT_FINE, Refused
from scripts.credentials import credentials_for

CATALOG = Path(__file__).with_name("data") / "demo_catalog.json"


def read_catalog(path: Path = CATALOG) -> dict[str, Any]:
    """The catalog: `categories` with their products, `clients` with their addresses, `reviews` and `orders` by sku."""
    catalog: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    return catalog


async def load(api: ApiClient, catalog: Mapping[str, Any]) -> dict[str, int]:
    """Load the catalog into the shop; the number of its rows by collection."""
    products = await _ensure_products(api, catalog["categories"])
    clients = await _ensure_clients(api, catalog["clients"])
    addresses: list[Row] = [
        {**address, "client_id": clients[client["email"]]["id_key"]}
        for client in catalog["clients"]
        for address in client["addresses"]
    ]
    reviews: list[Row] = [
        {"product_id": products[review["sku"]]["id_key"], "rating": review["rating"], "comment": review["comment"]}
        for review in catalog["reviews"]
    ]
    for address in addresses:
        await _ensure_content(api, "/addresses", address, "client_id")
    review_count = await _ensure_reviews(api, reviews)
    for order in catalog["orders"]:
        await _ensure_order(api, order, clients, products)
    return {
        "categories": len(catalog["categories"]),
        "products": len(products),
        "clients": len(clients),
        "addresses": len(addresses),
        "reviews": review_count,
        "orders": len(catalog["orders"]),
    }


async def _ensure_products(api: ApiClient, categories: Sequence[Row]) -> dict[str, Row]:
    stored = await api.ensure_rows("/categories", {row["name"]: {"name": row["name"]} for row in categories}, "name")
    products: dict[str, Row] = {
        product["sku"]: {**product, "category_id": stored[category["name"]]["id_key"]}
        for category in categories
        for product in category["products"]
    }
    return await api.ensure_rows("/products", products, "sku")


async def _ensure_clients(api: ApiClient, clients: Sequence[Row]) -> dict[str, Row]:
    rows = {
        client["email"]: {name: value for name, value in client.items() if name != "addresses"} for client in clients
    }
    return await api.ensure_rows("/clients", rows, "email")


async def _ensure_reviews(api: ApiClient, reviews: Sequence[Row]) -> int:
    """Create the reviews that are missing; how many of them the shop has."""
    try:
        for review in reviews:
            await _ensure_content(api, "/reviews", review, "product_id")
    except Refused as refusal:
        if refusal.code != "forbidden":
            raise
        return 0
    return len(reviews)


async def _ensure_content(api: ApiClient, path: str, wanted: Row, owner: str) -> None:
    """Create the row unless its `owner` already has one with the same content."""
    async for row in api.pages(path, **{owner: wanted[owner]}):
        if all(row[name] == value for name, value in wanted.items()):
            return
    digest = hashlib.sha256(to_json(wanted)).hexdigest()
    await api.create_once(path, wanted, f"demo-{digest}")


async def _ensure_order(api: ApiClient, wanted: Row, clients: Mapping[str, Row], products: Mapping[str, Row]) -> None:
    """Place the order unless its bill exists, and move it to its status; later changes by others stay."""
    order = await _order_of_bill(api, wanted["bill_number"])
    if order is None:
        client = clients[wanted["client"]]["id_key"]
        lines = [{"product_id": products[sku]["id_key"], "quantity": count} for sku, count in wanted["lines"].items()]
        named = {name: wanted[name] for name in ("bill_number", "delivery_method", "payment_type", "discount")}
        await api.post("/checkout", {"client_id": client, "lines": lines, **named})
        order = await _order_of_bill(api, wanted["bill_number"])
        assert order is not None
    path = f"/orders/{order['id_key']}"
    for status in _steps(order["status"], wanted["status"]):
        await api.put(path, {"status": status})
    if wanted["returned"] and order["returned_total"] == 0:
        await _return(api, path, {products[sku]["id_key"]: count for sku, count in wanted["returned"].items()})


async def _order_of_bill(api: ApiClient, number: str) -> Row | None:
    for bill in await api.get("/bills", bill_number=number):
        orders: list[Row] = await api.get("/orders", bill_id=bill["id_key"])
        return orders[0] if orders else None
    return None


def _steps(status: int, wanted: int) -> Sequence[int]:
    """The statuses between the two, the last one included; none if the order is already beyond it."""
    if wanted == OrderStatus.CANCELED:
        return [wanted] if status < OrderStatus.DELIVERED else []
    return range(status + 1, wanted + 1)


async def _return(api: ApiClient, path: str, counts: Mapping[int, int]) -> None:
    details = (await api.get(path, expand="order_details"))["order_details"]
    lines = [
        {"order_detail_id": detail["id_key"], "quantity": counts[detail["product_id"]]}
        for detail in details
        if detail["product_id"] in counts
    ]
    await api.post(f"{path}/returns", {"lines": lines, "reason": "Changed my mind"})


async def run(base_url: str) -> int:
    """Load the catalog into the shop at `base_url`; the exit code."""
    name_shop(base_url)
    with credentials_for(base_url) as headers:
        return await _run(base_url, headers)


async def _run(base_url: str, headers: Mapping[str, str]) -> int:
    async with ApiClient(base_url, headers=headers) as api:
        await api.check()
        counts = await load(api, read_catalog())
    print("The shop holds the demo catalog: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return EXIT_FINE


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.load_demo", description=__doc__.split(":")[0])
    parser.add_argument("--base-url", default="http://127.0.0.1:8000", help="where the API serves (%(default)s)")
    options = parser.parse_args(arguments)
    return run_script(lambda: run(options.base_url), sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
