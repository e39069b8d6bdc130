"""Pages of orders with very many details inside are sent whole, in pieces that hold neither the worker nor its memory."""

import json
import socket
from collections.abc import Sequence
from typing import Any

import httpx
import psycopg2
import pytest

from services.expanded_orders import MOST_DETAILS, PIECE_DETAILS
from tests.builders import a_client, a_product, an_order

pytestmark = pytest.mark.integration

ALL = "order_details,bill,client"
# Orders with as many details: of which some fit into a piece together, and others are several pieces.
SIZES = [3, 0, PIECE_DETAILS, PIECE_DETAILS + 1, 400, 400, 400, 3 * PIECE_DETAILS, 0, 1]


def with_details(database_url: str, client_id: int, orders: Sequence[int], sizes: Sequence[int], product: int) -> None:
    """Give the orders as many details each, as the shop would not do in one request."""
    connection = psycopg2.connect(database_url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        for order, size in zip(orders, sizes, strict=True):
            cursor.execute(
                "INSERT INTO order_details (order_id, product_id, quantity, price)"
                " SELECT %s, %s, 1, 1.50 FROM generate_series(1, %s)",
                (order, product, size),
            )
    connection.close()


@pytest.fixture(scope="module")
def page(client: httpx.Client, database_url: str) -> tuple[str, list[dict[str, Any]]]:
    """The path of a page of orders, and what it has to show."""
    owner, product = a_client(client)["id_key"], a_product(client)["id_key"]
    orders = [an_order(client, client_id=owner) for _ in SIZES]
    with_details(database_url, owner, [order["id_key"] for order in orders], SIZES, product)
    shown = []
    for order in orders:
        rows: list[dict[str, Any]] = []
        while True:
            last = rows[-1]["id_key"] if rows else 0
            some = client.get(f"/order_details?order_id={order['id_key']}&limit=1000&after={last}").json()
            rows += some
            if len(some) < 1000:
                break
        row = client.get(f"/orders/{order['id_key']}").json()
        # As lists show it: alone it has its lines, which the order has already.
        (bill,) = client.get(f"/bills?id_key={row['bill_id']}").json()
        customer = client.get(f"/clients/{owner}").json()
        shown.append(row | {"order_details": rows, "bill": bill, "client": customer})
    assert sum(SIZES) > MOST_DETAILS
    return f"/orders?client_id={owner}&limit=1000", shown


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_long_page_is_whole(client: httpx.Client, page: tuple[str, list[dict[str, Any]]], coding: str) -> None:
    path, expected = page
    answer = client.get(f"{path}&expand={ALL}", headers={"Accept-Encoding": coding})
    assert answer.status_code == 200
    assert answer.content.endswith(b"]\n")
    assert answer.json() == expected
    assert [list(row) for row in answer.json()] == [list(row) for row in expected]
    assert answer.headers["X-Total-Count"] == str(len(SIZES))
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert 'rel="first"' in answer.headers["Link"]
    assert answer.headers.get("Content-Encoding", "identity") == coding
    assert "ETag" not in answer.headers


def test_only_what_was_asked_for_is_inside(client: httpx.Client, page: tuple[str, list[dict[str, Any]]]) -> None:
    path, expected = page
    shown = client.get(f"{path}&expand=order_details").json()
    assert shown == [{name: row[name] for name in row if name not in ("bill", "client")} for row in expected]


def test_its_links_lead_through_it(client: httpx.Client, page: tuple[str, list[dict[str, Any]]]) -> None:
    path, expected = page
    shown: list[Any] = []
    target: str | None = f"{path.replace('limit=1000', 'limit=4')}&expand=order_details,client,bill"
    while target is not None:
        answer = client.get(target)
        shown += answer.json()
        target = answer.links["next"]["url"] if "next" in answer.links else None
    assert shown == expected


def test_the_orders_of_a_client_likewise(client: httpx.Client, page: tuple[str, list[dict[str, Any]]]) -> None:
    _, expected = page
    owner = expected[0]["client_id"]
    assert client.get(f"/clients/{owner}/orders?limit=1000&expand={ALL}").json() == expected


def test_one_order_is_whole_and_has_its_tag(client: httpx.Client, page: tuple[str, list[dict[str, Any]]]) -> None:
    _, expected = page
    for order in expected:
        answer = client.get(f"/orders/{order['id_key']}?expand={ALL}")
        assert answer.json() == order
        tag = answer.headers["ETag"]
        assert client.get(answer.url, headers={"If-None-Match": tag}).status_code == 304
    longest = expected[SIZES.index(max(SIZES))]
    only = client.get(f"/orders/{longest['id_key']}?expand=order_details").content
    assert json.loads(only)["order_details"] == longest["order_details"]
    assert only.endswith(b"}\n")


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_head_is_published_what_get_is_published(
    client: httpx.Client, page: tuple[str, list[dict[str, Any]]], coding: str
) -> None:
    path, _ = page
    with client.stream("HEAD", f"{path}&expand={ALL}", headers={"Accept-Encoding": coding}) as answer:
        assert (answer.status_code, b"".join(answer.iter_raw())) == (200, b"")
    get = client.get(f"{path}&expand={ALL}", headers={"Accept-Encoding": coding})
    for name in ("X-Total-Count", "Link", "Content-Type", "Content-Encoding", "Vary", "Cache-Control"):
        assert answer.headers.get(name) == get.headers.get(name), name


def test_who_takes_nothing_holds_no_connection_of_the_database(
    client: httpx.Client, shop_url: str, page: tuple[str, list[dict[str, Any]]]
) -> None:
    path, expected = page
    port = int(shop_url.rpartition(":")[2])
    lazy = [socket.create_connection(("127.0.0.1", port)) for _ in range(12)]
    try:
        for connection in lazy:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(f"GET {path}&expand={ALL} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
        # They are more than there are threads for the database, and than answers of this kind at a time.
        assert client.get(f"/orders/{expected[0]['id_key']}?expand={ALL}").json() == expected[0]
    finally:
        for connection in lazy:
            connection.close()
    assert client.get(f"{path}&expand={ALL}").json() == expected
