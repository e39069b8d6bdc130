"""`python -m scripts.verify`: sound data pass, every kind of damage is named, and what has one answer is mended."""

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg2
import pytest
from sqlalchemy import make_url

from config.settings import PROJECT_ROOT, get_settings
from infrastructure.embedded.servers import ServerUrls
from scripts.database import EXIT_CANNOT, EXIT_FINE
from scripts.verify import EXIT_BROKEN, main
from services.verification import INVARIANTS
from tests.race.databases import connected, execute, new_database, process_number, rows_of
from tests.race.goods import Goods
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

ALL_HOLD = ["holds"] * len(INVARIANTS)


@pytest.fixture(scope="module")
def busy_shop(servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database in which everything has happened once: sales, edits, a cancellation, a deletion, a return."""
    url = new_database(servers.database_url)
    environment = environment_of(url, None, tmp_path_factory.mktemp("busy"))
    with shop_in_thread(environment) as shop_url, httpx.Client(base_url=shop_url) as http:
        assert http.patch("/tax_classes/1", json={"rates": [{"country": "ES", "rate": 21}]}).status_code == 200
        goods = Goods(http)
        lamp, chair = goods.product(stock=50, price=9.99), goods.product(stock=10, price=100)
        http.post(f"/products/{lamp}/stock", json={"delta": 5})
        http.put(f"/products/{chair}", json={"stock": 20})
        keyed = {"Idempotency-Key": "kept"}
        order = http.post("/checkout", json=goods.cart((lamp, 3), (chair, 1), discount=5), headers=keyed).json()
        http.post(f"/orders/{order['id_key']}/advance")
        line = {"order_detail_id": order["order_details"][0]["id_key"], "quantity": 2}
        assert http.post(f"/orders/{order['id_key']}/returns", json={"lines": [line]}).status_code == 201
        http.post(f"/orders/{goods.bought((lamp, 2))['id_key']}/cancel")
        gone = http.post("/checkout", json=goods.cart((chair, 4)), headers={"Idempotency-Key": "deleted"}).json()
        assert http.delete(f"/orders/{gone['id_key']}").status_code == 204
        goods.detail(goods.order(), lamp, 4)
    return url


@pytest.fixture
def database(busy_shop: str, servers: ServerUrls, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A copy of it, which the settings of this process name."""
    url = new_database(servers.database_url, busy_shop)
    yield from _named_by_the_settings(url, monkeypatch)


def _named_by_the_settings(url: str, monkeypatch: pytest.MonkeyPatch, redis_url: str | None = None) -> Iterator[str]:
    monkeypatch.setenv("DATABASE_URL", url)
    if redis_url is None:
        monkeypatch.setenv("REDIS_ENABLED", "false")
    else:
        monkeypatch.setenv("REDIS_URL", redis_url)
    get_settings.cache_clear()
    yield url
    get_settings.cache_clear()


def verdicts(output: str) -> list[str]:
    """What was said of each invariant, the last time round."""
    return re.findall(r"^\d+\. .*: (holds|BROKEN) \(", output, re.MULTILINE)[-len(INVARIANTS) :]


def test_sound_data_pass_with_their_counts(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == EXIT_FINE
    output = capsys.readouterr().out
    assert verdicts(output) == ALL_HOLD
    assert "(2 products, 12 stock movements checked)" in output
    assert "(3 orders with details, 4 order details checked)" in output
    assert "(7 numbered bills checked)" in output
    assert "(2 keys of checkouts checked)" in output


# An event from before all orders, so that these have to have theirs.
LONG_AGO = (
    "INSERT INTO events (type, resource, data, occurred_at, sequence)"
    " VALUES ('category.created', 'categories', '{}', now() - interval '2 days', 0)"
)
_WITHOUT_LINES = """
    INSERT INTO bills (bill_number, total, payment_type, client_id) VALUES ('EMPTY', 0, 'cash', 1);
    INSERT INTO orders (delivery_method, status, client_id, bill_id) SELECT 1, 3, 1, max(id_key) FROM bills
"""

DAMAGE = {
    "stock": (
        1,
        "UPDATE products SET stock = stock + 1 WHERE id_key = 1",
        "product 1: stock 51, but its ledger says 50",
    ),
    "a lost movement": (1, "DELETE FROM stock_movements WHERE reason = 'receipt'", "product 1: stock 50, but"),
    "a sale unbooked": (
        1,
        "UPDATE order_details SET quantity = quantity + 1 WHERE product_id = 2;"
        "UPDATE orders SET total = total + 100 WHERE id_key = 1; UPDATE bills SET total = total + 100 WHERE id_key = 1",
        "product 2: stock 19, but 20 put in less 2 sold are 18",
    ),
    "a ledger below zero": (
        1,
        "UPDATE stock_movements SET reason = 'sale', delta = -1 WHERE reason = 'initial' AND product_id = 2;"
        "UPDATE stock_movements SET delta = 21 WHERE reason = 'edit' AND product_id = 2",
        "falls to -1 on the way",
    ),
    "order total": (
        2,
        "UPDATE orders SET total = 1 WHERE id_key = 1",
        "order 1: total 1.00, but its details sum up to",
    ),
    "bill total": (2, "UPDATE bills SET total = 1 WHERE id_key = 1", "bill 1 has total 1.00, but 124.97 is to be paid"),
    "a detail without its order": (
        2,
        "SET session_replication_role = replica; UPDATE order_details SET order_id = 999 WHERE order_id = 2",
        "there is no order 999",
    ),
    "a gap": (
        3,
        "UPDATE bills SET bill_number = 'mine' WHERE bill_number LIKE 'BILL-%-000002'",
        "number 2 is missing",
    ),
    "a counter behind": (
        3,
        "UPDATE bill_counters SET last_number = 3 WHERE kind = 'sale'",
        "the counter stands at 3, the highest number is 4",
    ),
    "a number of the other kind": (
        3,
        "UPDATE bills SET bill_number = replace(bill_number, 'CREDIT', 'BILL') || '9' WHERE kind = 'credit'",
        "3 of them are bills of another kind",
    ),
    "an order that never was": (
        4,
        "UPDATE idempotency_keys SET headers = '{\"Location\": \"/orders/777\"}' WHERE key = 'kept'",
        "key 'kept': order 777 never was",
    ),
    "two keys of one order": (
        4,
        "INSERT INTO idempotency_keys SELECT 'second', fingerprint, status, headers, body FROM idempotency_keys "
        "WHERE key = 'kept'",
        "key 'second': order 1 has 2 keys",
    ),
    "a price without its history": (
        7,
        "SET session_replication_role = replica; UPDATE products SET price = 1 WHERE id_key = 1",
        "product 1: price 1.00, but its history says ",
    ),
    "an order that nobody was told of": (
        8,
        f"{LONG_AGO}; DELETE FROM events WHERE type = 'order.created' AND resource_id = 1",
        "order 1: 0 events about its creation",
    ),
    "an order that was told twice": (
        8,
        f"{LONG_AGO}; INSERT INTO events (type, resource, resource_id, data)"
        " VALUES ('order.created', 'orders', 2, '{}')",
        "order 2: 2 events about its creation",
    ),
    "an event that waits": (
        9,
        "WITH places AS (SELECT id, row_number() OVER (ORDER BY position) AS place FROM events)"
        " UPDATE events SET sequence = CASE WHEN place > 1 THEN place END,"
        " occurred_at = occurred_at - (place = 1)::int * interval '2 minutes' FROM places WHERE places.id = events.id",
        "without a sequence for 1",
    ),
    "a return that gave back more": (
        10,
        "UPDATE return_lines SET amount = amount + 0.01",
        "return 1: its lines sum up to ",
    ),
    "a return of another order": (
        10,
        "UPDATE return_lines SET order_detail_id = (SELECT min(id_key) FROM order_details WHERE order_id = 2)",
        "is of another order",
    ),
    "a return that its detail does not know": (
        10,
        "UPDATE return_lines SET quantity = quantity + 1",
        "came back by its returns",
    ),
    "more shipped than ordered": (
        15,
        "INSERT INTO shipments (order_id) VALUES (1);"
        "INSERT INTO shipment_lines SELECT 1, min(id_key), 4 FROM order_details WHERE order_id = 1",
        "4 are shipped of 3",
    ),
    "shipped by another order": (
        15,
        "INSERT INTO shipments (order_id) VALUES (2);"
        "INSERT INTO shipment_lines SELECT 1, min(id_key), 1 FROM order_details WHERE order_id = 1",
        "shipment 1 is of another order",
    ),
    "a write-off unbooked": (
        1,
        "INSERT INTO stock_movements (product_id, delta, reason) VALUES (1, -1, 'write_off')",
        "product 1: stock 50, but",
    ),
    "a refund that was not counted": (
        12,
        "UPDATE bills SET refunded = 1 WHERE id_key = 1",
        "bill 1: refunded 1.00, but its credit bills sum up to ",
    ),
    "a refund beyond the payment": (
        12,
        "UPDATE bills SET total = 1000 WHERE reason = 'canceled'",
        "its credit bills sum up to 1000.00, more than its total 19.98",
    ),
    "a cancellation without an answer": (
        12,
        "UPDATE bills SET total = 0 WHERE reason = 'canceled'",
        "is canceled, but 0.00 of bill",
    ),
    "a bill of another client": (
        13,
        "INSERT INTO clients (name, lastname, email, email_key) VALUES ('B', 'B', 'b@x.org', 'b@x.org');"
        "UPDATE bills SET client_id = 2 WHERE id_key = 1",
        "order 1 of client 1: bill 1 is one of client 2",
    ),
    "a credit bill of another client": (
        13,
        "INSERT INTO clients (name, lastname, email, email_key) VALUES ('B', 'B', 'b@x.org', 'b@x.org');"
        "UPDATE bills SET client_id = 2 WHERE reason = 'returned'",
        "order 1 of client 1: bill 2 is one of client 2",
    ),
    "a shipped order without lines": (14, _WITHOUT_LINES, "was shipped, but has no lines"),
    "a copy of an address lost": (
        14,
        "INSERT INTO addresses (street, city, client_id) VALUES ('S', 'C', 1);"
        "UPDATE orders SET address_id = (SELECT max(id_key) FROM addresses) WHERE id_key = 1",
        "order 1 was shipped, but keeps no copy of address 1",
    ),
    "lines that do not make up their bill": (
        17,
        "INSERT INTO bills (bill_number, total, payment_type, order_deleted) VALUES ('GONE', 10, 'cash', true);"
        "INSERT INTO bill_lines SELECT max(id_key), 1, 1, 'Lamp', NULL, 2, 5, 0.01, 0 FROM bills",
        "the lines that it kept sum up to 9.99, but 10.00 is to be paid",
    ),
    "a rating that was lost": (
        19,
        "INSERT INTO reviews (rating, product_id) VALUES (4.5, 1), (4, 1); UPDATE products SET review_count = 1",
        "product 1: 1 reviews with an average of 4.25, but there are 2 with 4.25",
    ),
    "an average that nobody gave": (
        19,
        "UPDATE products SET rating_average = 5 WHERE id_key = 2",
        "product 2: 0 reviews",
    ),
    "a tax that its lines do not make": (
        18,
        "UPDATE order_details SET tax_included = tax_included + 0.01 WHERE order_id = 1",
        "order 1: a tax of 21.69, but bill 1 has 21.69, and order detail 1 has another one than its rate makes",
    ),
    "a tax of other rates": (
        18,
        "UPDATE bills SET taxes = replace(taxes::text, '21.000', '20.000')::json WHERE id_key = 1",
        "order 1: a tax of 21.69, but bill 1 has 21.69",
    ),
    "taxes that do not sum up": (
        18,
        "UPDATE bills SET taxes = '[]' WHERE reason = 'returned'",
        "with a tax of 0.00",
    ),
    "a tax that was not given back": (
        18,
        'UPDATE bills SET tax = 0, taxes = \'[{"net": 19.98, "tax": 0, "gross": 19.98}]\' WHERE reason = \'canceled\'',
        "0.00 of the tax was given back",
    ),
    "a key that is of no address": (6, "UPDATE clients SET email_key = 'x' WHERE id_key = 1", "the key of "),
}


@pytest.mark.parametrize(("number", "damage", "named"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_named(
    database: str, capsys: pytest.CaptureFixture[str], number: int, damage: str, named: str
) -> None:
    execute(database, damage)
    assert main([]) == EXIT_BROKEN
    output = capsys.readouterr().out
    assert verdicts(output)[number - 1] == "BROKEN"
    assert named in output


def test_a_stock_below_zero_is_named_where_no_constraint_holds(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(database, "ALTER TABLE products DROP CONSTRAINT ck_products_stock_not_negative")
    execute(database, "UPDATE products SET stock = -2 WHERE id_key = 1")
    assert main([]) == EXIT_BROKEN
    assert "product 1: stock -2, but it is below zero" in capsys.readouterr().out


def test_an_idle_transaction_is_named(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    connection = psycopg2.connect(database.replace("+psycopg2", ""), application_name="shop")
    try:
        connection.cursor().execute("SELECT 1")
        # It has been idle for over a second, by the clock that the query looks at.
        execute(database, "SELECT pg_sleep(1.1)")
        assert main([]) == EXIT_BROKEN
    finally:
        connection.close()
    output = capsys.readouterr().out
    assert verdicts(output) == [*ALL_HOLD[:4], "BROKEN", *ALL_HOLD[5:]]
    assert re.search(r"\(shop\): idle in a transaction for [1-9]\d* s", output), output


def test_the_list_of_breaches_is_bounded(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    execute(
        database,
        "INSERT INTO products (name, price, stock, category_id) SELECT 'lamp', 1, 5, 1 FROM generate_series(1, 50)",
    )
    assert main([]) == EXIT_BROKEN
    output = capsys.readouterr().out
    assert output.count("its ledger says 0") == 20
    assert "   ... and more" in output


def test_stock_and_totals_are_repaired(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    execute(database, "UPDATE products SET stock = 7 WHERE id_key = 1")
    execute(database, "UPDATE orders SET total = 1 WHERE id_key = 1; UPDATE bills SET total = 2 WHERE id_key = 3")
    assert main(["--repair", "--yes"]) == EXIT_FINE
    output = capsys.readouterr().out
    assert verdicts(output) == ALL_HOLD
    assert "product 1: stock 7 -> 50" in output
    assert "order 1: total 1.00 -> 129.97, bill 1: total 124.97 -> 124.97" in output
    assert "order 2: total 19.98 -> 19.98, bill 3: total 2.00 -> 19.98" in output


def test_what_has_no_one_answer_is_left_alone(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    execute(database, "UPDATE bill_counters SET last_number = 3 WHERE kind = 'sale'")
    assert main(["--repair", "--yes"]) == EXIT_BROKEN
    assert "To be repaired" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "stock", "code"), [("n\n", 7, EXIT_BROKEN), ("", 7, EXIT_BROKEN), ("y\n", 50, EXIT_FINE)]
)
def test_a_repair_is_asked_for(
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    stock: int,
    code: int,
) -> None:
    execute(database, "UPDATE products SET stock = 7 WHERE id_key = 1")
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert main(["--repair"]) == code
    assert "To be repaired (1):\n   product 1: stock 7 -> 50\nRepair? [y/N]" in capsys.readouterr().out
    assert rows_of(database, "SELECT stock FROM products WHERE id_key = 1") == [(stock,)]


@pytest.fixture
def read_shop(
    busy_shop: str, servers: ServerUrls, redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[str, httpx.Client]]:
    """A copy of the busy shop at work, with a wrong stock in its cache; its database, which the settings name."""
    url = new_database(servers.database_url, busy_shop)
    cache_url = redis_url.replace(f"db={process_number()}", f"db={process_number() + 8}")
    with (
        shop_in_thread(environment_of(url, cache_url, tmp_path)) as shop_url,
        httpx.Client(base_url=shop_url) as http,
    ):
        execute(url, "UPDATE products SET stock = 7 WHERE id_key = 1")
        assert [http.get("/products/1").json()["stock"] for _ in range(2)] == [7, 7]
        for _ in _named_by_the_settings(url, monkeypatch, cache_url):
            yield url, http


def test_readers_see_the_repaired_stock(read_shop: tuple[str, httpx.Client]) -> None:
    _, http = read_shop
    assert main(["--repair", "--yes"]) == EXIT_FINE
    assert http.get("/products/1").json()["stock"] == 50


def test_readers_see_what_was_repaired_before_a_repair_failed(
    read_shop: tuple[str, httpx.Client], capsys: pytest.CaptureFixture[str]
) -> None:
    url, http = read_shop
    execute(
        url,
        "UPDATE products SET stock = 7 WHERE id_key = 2;"
        "ALTER TABLE products ADD CONSTRAINT never CHECK (id_key <> 2 OR stock = 7) NOT VALID",
    )
    assert main(["--repair", "--yes"]) == EXIT_CANNOT
    assert "never" in capsys.readouterr().err
    assert http.get("/products/1").json()["stock"] == 50


def test_a_cache_that_cannot_be_told_is_named(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(database, "UPDATE products SET stock = 7 WHERE id_key = 1")
    monkeypatch.delenv("REDIS_ENABLED")
    for _ in _named_by_the_settings(database, monkeypatch, "redis://127.0.0.1:1/0"):
        assert main(["--repair", "--yes"]) == EXIT_FINE
    assert capsys.readouterr().err.startswith("Redis cannot be reached")


@pytest.mark.parametrize("arguments", [["--wrong"], ["--yes"]])
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == EXIT_CANNOT


def test_an_unmigrated_database_is_one_line(
    servers: ServerUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"bare_{process_number()}"
    with connected(servers.database_url) as connection:
        connection.cursor().execute(f"CREATE DATABASE {name}")
    url = make_url(servers.database_url).set(database=name).render_as_string(hide_password=False)
    for _ in _named_by_the_settings(url, monkeypatch):
        assert main([]) == EXIT_CANNOT
    assert capsys.readouterr().err.startswith("Stopped: The database is not at the newest migration")


def test_an_unreachable_database_is_one_line_and_no_traceback() -> None:
    environment = {"DATABASE_URL": "postgresql://shop:secret@127.0.0.1:1/shop", "REDIS_ENABLED": "false"}
    ended = subprocess.run(
        [sys.executable, "-m", "scripts.verify"],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == EXIT_CANNOT
    assert ended.stdout.startswith("Database: ")
    assert len(ended.stdout.splitlines()) == 1
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("Stopped: ")
    assert "secret" not in ended.stderr


def test_keys_of_addresses_are_made_right(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """PostgreSQL fills those of rows that are written past the shop as well as it can."""
    made = "INSERT INTO clients (name, lastname, email) VALUES ('A', 'B', %s) RETURNING id_key"
    addresses = ["Ada@xn--bcher-kva.example", "ada@B\u00dcCHER.example", "Bob@xn--mnchen-3ya.example", "c@x.example."]
    keys = [rows_of(database, made, address)[0][0] for address in addresses]
    assert main(["--repair", "--yes"]) == EXIT_BROKEN
    output = capsys.readouterr().out
    assert (
        f"client {keys[2]}: key of the e-mail address 'bob@xn--mnchen-3ya.example' -> 'bob@m\u00fcnchen.example'"
        in output
    )
    stored = dict(rows_of(database, "SELECT id_key, email_key FROM clients"))
    assert (stored[keys[2]], stored[keys[3]]) == ("bob@m\u00fcnchen.example", "c@x.example")
    # One address in two rows is for people to mend; until then nothing is changed of it.
    assert stored[keys[0]] == "ada@xn--bcher-kva.example"
    execute(database, "DELETE FROM clients WHERE id_key = %s", keys[1])
    assert main(["--repair", "--yes"]) == EXIT_FINE


def test_shipped_orders_of_before_are_listed_apart(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    execute(database, _WITHOUT_LINES)
    since = "CREATE OR REPLACE FUNCTION books_since() RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$SELECT timestamptz %s$$"
    execute(database, since % "'infinity'")
    main([])
    output = capsys.readouterr().out
    assert verdicts(output)[13] == "holds"
    assert "was shipped, but has no lines" in output


def test_figures_that_differ_are_named(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    execute(database, "UPDATE orders SET to_pay = 1 WHERE id_key = 1; UPDATE orders SET discount = 7 WHERE id_key = 2")
    execute(database, "INSERT INTO payments (bill_id, amount, method) VALUES (1, 5, 'cash')")
    assert main([]) == EXIT_BROKEN
    output = capsys.readouterr().out
    assert "order 1 says something else than its bill 1: 1.00 to pay" in output
    assert "order 2 says something else than its bill 3" in output
    assert "bill 1: 0.00 is paid, but its payments sum up to 5.00" in output
