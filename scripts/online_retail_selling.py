"""Selling an invoice of the file through the API: in one checkout, or line by line if that is not possible.

A checkout sells every line at the current price of its product. So an invoice with one product at two prices is sold
line by line, with a change of the price in between.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus

from scripts.api_client import ApiClient, Row, run_all
from scripts.api_errors import Mismatch, Refused
from scripts.online_retail_file import totals_of
from scripts.online_retail_stored import Job, PendingLine

# The key of a client, and the code of a country.
ClientAt = tuple[int, str]

HOME_DELIVERY = 3
PAYMENT_TYPE = "card"
PRICE_ATTEMPTS = 10


class Sequencer:
    """Sequencer: lets the sales of one product happen one by one in the order of the file.

    So no other invoice changes the price between a price change and its sale, and the prices have the order of the file.
    A sale waits only for lines of earlier invoices, and the workers take the invoices in file order: there is no
    deadlock.
    """

    def __init__(self) -> None:
        self._current = 0
        self._waiting: dict[int, asyncio.Event] = {}

    async def wait(self, turn: int) -> None:
        if turn != self._current:
            await self._waiting.setdefault(turn, asyncio.Event()).wait()

    def finish(self) -> None:
        self._current += 1
        next_one = self._waiting.pop(self._current, None)
        if next_one is not None:
            next_one.set()


@dataclass(slots=True)
class ListedProduct:
    """A product of the shop: its last known price, and the order of its sales."""

    product_id: int
    price: Decimal
    sequencer: Sequencer = field(default_factory=Sequencer)


class Seller:
    """Sells the pending lines of invoices at the file's prices.

    `products` has the products by stock code, and `addresses` the addresses by the client and the country.
    """

    def __init__(
        self,
        api: ApiClient,
        products: Mapping[str, ListedProduct],
        addresses: Mapping[ClientAt, int],
        sold: Callable[[int], object],
    ) -> None:
        """`sold` is called with the number of newly sold lines."""
        self._api = api
        self._products = products
        self._addresses = addresses
        self._sold = sold

    async def sell(self, job: Job) -> None:
        if job.is_one_checkout:
            await self._check_out(job)
        else:
            await self._sell_line_by_line(job)

    async def _check_out(self, job: Job) -> None:
        first_of_product: dict[str, PendingLine] = {}
        for pending in job.pending:
            first_of_product.setdefault(pending.line.sku, pending)
        # Concurrently: while one product waits for an earlier invoice, another gets its price.
        await run_all(self._wait_and_set_price(pending) for pending in first_of_product.values())
        prices = {sku: pending.line.price for sku, pending in first_of_product.items()}
        await self._create_at(prices, "/checkout", self._cart(job), f"online-retail-{job.invoice.number}", "/orders")
        for pending in job.pending:
            self._products[pending.line.sku].sequencer.finish()
        self._sold(len(job.pending))

    async def _wait_and_set_price(self, pending: PendingLine) -> None:
        await self._products[pending.line.sku].sequencer.wait(pending.turn)
        await self._set_price(pending.line.sku, pending.line.price)

    def _cart(self, job: Job) -> Row:
        lines = [
            {"product_id": self._products[line.sku].product_id, "quantity": line.quantity, "price": line.price}
            for line in job.invoice.lines
        ]
        return {
            "client_id": job.client_id,
            "address_id": self._address_of(job),
            "bill_number": job.invoice.number,
            "delivery_method": HOME_DELIVERY,
            "payment_type": PAYMENT_TYPE,
            "expected_total": totals_of([job.invoice]).revenue,
            "lines": lines,
        }

    def _address_of(self, job: Job) -> int | None:
        return None if job.invoice.country is None else self._addresses[job.client_id, job.invoice.country]

    async def _sell_line_by_line(self, job: Job) -> None:
        order_id = await self._ensure_order(job)
        for pending in job.pending:
            sequencer = self._products[pending.line.sku].sequencer
            await sequencer.wait(pending.turn)
            await self._sell_line(order_id, pending)
            sequencer.finish()
            self._sold(1)

    async def _ensure_order(self, job: Job) -> int:
        """The id of the invoice's order; the order and its bill are created if they are missing."""
        if job.stored is not None and job.stored.order_id is not None:
            return job.stored.order_id
        total = totals_of([job.invoice]).revenue
        if job.stored is None:
            bill: Row = {
                "bill_number": job.invoice.number,
                "total": total,
                "payment_type": PAYMENT_TYPE,
                "client_id": job.client_id,
            }
            bill_id = await self._create_or_find("/bills", bill, "bill_number")
        else:
            bill_id = job.stored.bill_id
        order: Row = {
            "client_id": job.client_id,
            "address_id": self._address_of(job),
            "bill_id": bill_id,
            "delivery_method": HOME_DELIVERY,
            "total": total,
        }
        return await self._create_or_find("/orders", order, "bill_id")

    async def _create_or_find(self, path: str, body: Row, unique: str) -> int:
        """The id of the row with this value of the field `unique`, created unless an interrupted run has done so."""
        try:
            row = await self._api.post(path, body)
        except Refused as refusal:
            if refusal.status != HTTPStatus.CONFLICT:
                raise
            found = await self._api.get(path, **{unique: body[unique]})
            same = [row for row in found if row[unique] == body[unique] and row["client_id"] == body["client_id"]]
            if not same:
                raise
            row = same[0]
        return int(row["id_key"])

    async def _sell_line(self, order_id: int, pending: PendingLine) -> None:
        line = pending.line
        body = {
            "order_id": order_id,
            "product_id": self._products[line.sku].product_id,
            "quantity": line.quantity,
            "price": line.price,
        }
        key = f"online-retail-{order_id}-{pending.position}"
        await self._create_at({line.sku: line.price}, "/order_details", body, key, "/order_details")

    async def _create_at(self, prices: Mapping[str, Decimal], path: str, body: Row, key: str, rows_at: str) -> None:
        """Create a row when the products have these prices; set them again if another client changes them."""
        for _ in range(PRICE_ATTEMPTS):
            await run_all(self._set_price(sku, price) for sku, price in prices.items())
            try:
                await self._api.create_once(path, body, key, rows_at)
            except Refused as refusal:
                if refusal.code != "price_mismatch":
                    raise
                await run_all(self._refresh_price(sku) for sku in prices)
            else:
                return
        raise Mismatch(f"The prices of products of {key} are being changed by somebody else all the time")

    async def _set_price(self, sku: str, price: Decimal) -> None:
        product = self._products[sku]
        if product.price != price:
            await self._api.put(f"/products/{product.product_id}", {"price": price})
            product.price = price

    async def _refresh_price(self, sku: str) -> None:
        product = self._products[sku]
        product.price = Decimal((await self._api.get(f"/products/{product.product_id}"))["price"])
