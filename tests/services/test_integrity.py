"""What only the database can refuse is an error that names the row, the field and the value."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from infrastructure.database.migrations import maintenance_engine
from repositories.checkout import PendingOrder
from schemas.checkout import Checkout
from security.principal import EVERYBODY
from services.bulk import BulkService
from services.category import CategoryService
from services.checkout import new_order
from services.checkout_groups import place_in_session
from services.client import ClientService
from services.errors import AlreadyExists, Conflict, NotFound, ShopError
from services.product import ProductService
from tests.builders import unique

pytestmark = pytest.mark.integration


class Categories(CategoryService):
    """Checks nothing before it writes, as if others were always faster."""

    unique = {}


class Products(ProductService):
    """Checks nothing before it writes."""

    unique, references = {}, {}


class Clients(ClientService):
    """Checks nothing before it writes."""

    unique = {}


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    engine = maintenance_engine(database_url)
    with Session(engine) as session:
        yield session
    engine.dispose()


def named(count: int) -> list[dict[str, Any]]:
    return [{"name": unique("Shelf")} for _ in range(count)]


def refusal_of(service: BulkService[Any], rows: list[dict[str, Any]]) -> ShopError:
    with pytest.raises(ShopError) as refusal:
        service.create_many(rows, ("id_key",), tuple)
    return refusal.value


@pytest.mark.parametrize(("first", "second", "count"), [(0, 1, 2), (0, 6, 7), (3, 40, 100), (98, 99, 100)])
def test_of_two_equal_rows_the_second_is_named(session: Session, first: int, second: int, count: int) -> None:
    rows = named(count)
    rows[second]["name"] = f" {rows[first]['name'].upper()}\u200b"
    error = refusal_of(Categories(session), rows)
    assert isinstance(error, AlreadyExists)
    assert (error.loc, error.value) == (("body", second, "name"), rows[second]["name"])


def test_a_row_that_is_stored_is_named(session: Session) -> None:
    stored = CategoryService(session).create({"name": unique("Tea")})
    session.commit()
    rows = [*named(5), {"name": stored.name.upper()}, *named(4)]
    assert refusal_of(Categories(session), rows).loc == ("body", 5, "name")


def test_an_address_is_named_whatever_index_has_refused_it(session: Session) -> None:
    email = f"{unique('Ada')}@b\u00fccher.example"
    rows = [
        {"name": "A", "lastname": "B", "email": f"{unique('x')}@x.example"},
        {"name": "A", "lastname": "B", "email": email},
        {"name": "A", "lastname": "B", "email": email.replace("b\u00fccher", "xn--bcher-kva")},
    ]
    error = refusal_of(Clients(session), rows)
    assert isinstance(error, AlreadyExists)
    assert (error.loc, error.value) == (("body", 2, "email"), rows[2]["email"])


def test_a_reference_that_went_away_is_named(session: Session) -> None:
    category = CategoryService(session).create({"name": unique("Tea")}).id_key
    row = {"name": "x", "price": Decimal(1)}
    rows = [{**row, "category_id": category}, {**row, "category_id": category}, {**row, "category_id": 2**40}]
    error = refusal_of(Products(session), rows)
    assert isinstance(error, NotFound)
    assert (error.loc, str(error)) == (("body", 2, "category_id"), f"Category with id {2**40} not found")


def test_a_broken_check_is_named(session: Session) -> None:
    category = CategoryService(session).create({"name": unique("Tea")}).id_key
    rows = [{"name": "x", "price": Decimal(price), "category_id": category} for price in (1, 1, 0, 1)]
    error = refusal_of(Products(session), rows)
    assert isinstance(error, Conflict)
    assert error.loc == ("body", 2)


def test_rows_come_back_in_their_order(session: Session) -> None:
    rows = named(30)
    created = Categories(session).create_many(rows, ("id_key", "name"), lambda some: some)
    assert [row.name for some in created for row in some] == [r["name"] for r in rows]


def test_a_number_that_the_server_was_about_to_give_is_not_called_none(session: Session) -> None:
    category = CategoryService(session).create({"name": unique("Tea")}).id_key
    product = ProductService(session).create({"name": "x", "price": Decimal(1), "stock": 5, "category_id": category})
    client = ClientService(session).create(
        {"name": "A", "lastname": "B", "email": f"{unique('a').replace(' ', '.')}@x.example"}
    )
    session.execute(
        text(
            "WITH today AS (SELECT extract(year FROM now() AT TIME ZONE 'UTC')::integer AS year) "
            "INSERT INTO bills (bill_number, total, payment_type) SELECT 'BILL-' || year || '-' || lpad((coalesce(("
            "SELECT last_number FROM bill_counters WHERE kind = 'sale' AND bill_counters.year = today.year"
            "), 0) + 1)::text, 6, '0'), 1, 'cash' FROM today"
        )
    )
    checkout = Checkout.model_validate(
        {
            "client_id": client.id_key,
            "delivery_method": 1,
            "payment_type": "cash",
            "lines": [{"product_id": product.id_key, "quantity": 1}],
        }
    )
    with pytest.raises(AlreadyExists, match="The next bill_number is taken by another bill") as refusal:
        place_in_session(PendingOrder(new_order(checkout, EVERYBODY)), session)
    assert "None" not in str(refusal.value)
