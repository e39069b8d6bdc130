"""Fill an empty shop with the demo catalog through the running API: `python -m scripts.load_demo [--base-url URL]`.

The catalog is `scripts/data/demo_catalog.json`. What exists is left as it is, so a second run, or one after
an interruption, only adds what is missing: categories are found by name, products by sku, clients by
e-mail, addresses and reviews by their whole content.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from schemas.json_codec import to_json
from scripts.api_client import EXIT_FINE, ApiClient, Row, run_script

CATALOG = Path(__file__).with_name("data") / "demo_catalog.json"


def read_catalog(path: Path = CATALOG) -> dict[str, Any]:
    """The catalog: `categories` with their products, `clients` with their addresses, `reviews` by sku."""
    catalog: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    return catalog


async def load(api: ApiClient, catalog: Mapping[str, Any]) -> dict[str, int]:
    """Bring the catalog into the shop; how many rows of it each collection holds now."""
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
    for review in reviews:
        await _ensure_content(api, "/reviews", review, "product_id")
    return {
        "categories": len(catalog["categories"]),
        "products": len(products),
        "clients": len(clients),
        "addresses": len(addresses),
        "reviews": len(reviews),
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


async def _ensure_content(api: ApiClient, path: str, wanted: Row, owner: str) -> None:
    """Create the row unless its `owner` already has one with the same content."""
    async for row in api.pages(path, **{owner: wanted[owner]}):
        if all(row[name] == value for name, value in wanted.items()):
            return
    digest = hashlib.sha256(to_json(wanted)).hexdigest()
    await api.create_once(path, wanted, f"demo-{digest}")


async def run(base_url: str) -> int:
    """Load the catalog into the shop at `base_url`; the exit code."""
    async with ApiClient(base_url) as api:
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
