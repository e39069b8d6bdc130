"""A purchase with the generated Python client. The arguments are the URL of the shop and an API key."""

import sys
from typing import TypeVar

from shop_client import AuthenticatedClient
from shop_client.api.categories import create_category
from shop_client.api.checkout import checkout
from shop_client.api.clients import create_client
from shop_client.api.orders import get_order
from shop_client.api.products import create_product, get_product, list_products
from shop_client.models import (
    CategoryCreate,
    CategoryRead,
    Checkout,
    CheckoutBadRequestProblem,
    CheckoutLine,
    ClientCreate,
    ClientRead,
    DeliveryMethod,
    ExpandedOrderRead,
    PaymentType,
    PlacedOrderRead,
    ProductCreate,
    ProductRead,
)
from shop_client.types import UNSET

T = TypeVar("T")


def expect(kind: type[T], answer: object) -> T:
    """The response, which must be of this type."""
    assert isinstance(answer, kind), answer
    return answer


def main(url: str, key: str) -> None:
    with AuthenticatedClient(base_url=url, token=key) as shop:
        category = expect(CategoryRead, create_category.sync(client=shop, body=CategoryCreate(name="Lamps, by Python")))
        lamp = ProductCreate(name="Desk lamp", price=19.99, stock=3, category_id=category.id_key)
        product = expect(ProductRead, create_product.sync(client=shop, body=lamp))
        listed = expect(list, list_products.sync(client=shop, category_id=[category.id_key]))
        assert [row.id_key for row in listed] == [product.id_key]
        person = ClientCreate(name="Ada", lastname="Byron", email="ada@python.example")
        buyer = expect(ClientRead, create_client.sync(client=shop, body=person))

        def order(quantity: int) -> object:
            line = CheckoutLine(product_id=product.id_key, quantity=quantity)
            body = Checkout(DeliveryMethod.HOME_DELIVERY, PaymentType.CARD, [line], client_id=buyer.id_key)
            return checkout.sync(client=shop, body=body)

        placed = expect(PlacedOrderRead, order(2))
        assert placed.total == 39.98
        seen = expect(ExpandedOrderRead, get_order.sync(placed.id_key, client=shop))
        assert (seen.total, seen.status) == (placed.total, placed.status)
        assert expect(ProductRead, get_product.sync(product.id_key, client=shop)).stock == 1
        refused = expect(CheckoutBadRequestProblem, order(2))
        assert refused.code == "insufficient_stock"
        assert refused.errors is not UNSET


main(*sys.argv[1:])
