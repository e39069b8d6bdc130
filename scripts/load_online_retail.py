"""Put the "Online Retail" file through the running API as a shop would have.

    python -m scripts.load_online_retail FILE [--base-url URL] [--limit N] [--concurrency K]

Categories, products and clients first; then, invoice by invoice, its bill, its order and its details,
after changing a product's price wherever the file sells it at another one.

It may be interrupted at any moment and run again. What exists is read back first and found by its natural
key: category name, sku, e-mail, bill number, the order of that bill. The details of an order are created
in file order, so those that exist must be the beginning of the invoice, and the run goes on behind them.
At the end the API is read again and reconciled with the file, to the unit and to the cent.

Exit code: 0 all is there; 1 something differs; 2 it could not be done; 130 interrupted.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.api_client import (
    EXIT_FINE,
    EXIT_MISMATCH,
    ApiClient,
    Mismatch,
    Refused,
    Row,
    ScriptError,
    all_of,
    run_script,
)
from scripts.online_retail_file import (
    Invoice,
    SalesFile,
    SalesFileError,
    Totals,
    read_sales_file,
    totals_of,
)
from scripts.online_retail_stored import (
    Job,
    PendingLine,
    StoredInvoice,
    expected_lines,
    plan_jobs,
    read_back,
    stored_totals,
    units_pending,
)

HOME_DELIVERY = 3
PRICE_ATTEMPTS = 10
NAMED_AT_MOST = 5
"""How many differing invoices the last line names."""


class Turns:
    """Lets the sales of one product happen one by one in the order of the file.

    Whichever invoice gets there first, nobody changes the price between another one's price and its sale,
    and the prices follow each other as they did in the shop. A sale waits only for lines earlier in the
    file, and the workers take the invoices in file order, so they cannot wait for each other in a circle.
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
class Shelf:
    """A product of the shop: the price it was last seen at, and the turns of those who sell it."""

    product_id: int
    price: Decimal
    turns: Turns = field(default_factory=Turns)


def email_of(customer_id: str) -> str:
    """The address that stands for a customer of the file; an empty id is the guest."""
    return f"online-retail-{customer_id or 'guest'}@example.com".lower()


class Importer:
    """Brings the invoices of one file into the shop behind `api`, `workers` invoices at a time."""

    def __init__(self, api: ApiClient, sales: SalesFile, invoices: Sequence[Invoice], workers: int) -> None:
        self._api = api
        self._sales = sales
        self._invoices = invoices
        self._workers = workers

    async def run(self) -> bool:
        """Import what is missing, print the reconciliation, and say whether both sides agree."""
        products = await self._ensure_products()
        client_ids = await self._ensure_clients()
        product_ids = {sku: int(row["id_key"]) for sku, row in products.items()}
        numbers = {invoice.number for invoice in self._invoices}
        jobs = plan_jobs(self._invoices, await read_back(self._api, numbers), product_ids, client_ids)
        await self._ensure_stock(jobs, products)
        await self._sell_all(jobs, {sku: Shelf(row["id_key"], Decimal(row["price"])) for sku, row in products.items()})
        return reconcile(self._invoices, await read_back(self._api, numbers), product_ids)

    async def _ensure_products(self) -> dict[str, Row]:
        products = self._sales.products(self._invoices)
        names = {product.category: {"name": product.category} for product in products.values()}
        categories = await self._api.ensure_rows("/categories", names, "name")
        rows: dict[str, Row] = {
            sku: {
                "sku": sku,
                "name": product.name,
                "price": product.price,
                "stock": product.stock,
                "category_id": categories[product.category]["id_key"],
            }
            for sku, product in products.items()
        }
        return await self._api.ensure_rows("/products", rows, "sku")

    async def _ensure_clients(self) -> dict[str, int]:
        """The ids of the clients by CustomerID."""
        emails = {invoice.customer_id: email_of(invoice.customer_id) for invoice in self._invoices}
        rows: dict[str, Row] = {
            email: {"name": "Customer" if customer_id else "Guest", "lastname": customer_id or "Online", "email": email}
            for customer_id, email in emails.items()
        }
        clients = await self._api.ensure_rows("/clients", rows, "email")
        return {customer_id: clients[email]["id_key"] for customer_id, email in emails.items()}

    async def _ensure_stock(self, jobs: Sequence[Job], products: Mapping[str, Row]) -> None:
        """Receive what the shelves lack for the pending lines: nothing, unless an earlier run had a smaller limit."""
        for sku, units in units_pending(jobs).items():
            missing = units - products[sku]["stock"]
            if missing > 0:
                path = f"/products/{products[sku]['id_key']}/stock"
                await self._api.post(path, {"delta": missing, "reason": "receipt"})

    async def _sell_all(self, jobs: Sequence[Job], shelves: Mapping[str, Shelf]) -> None:
        lines = sum(len(invoice.lines) for invoice in self._invoices)
        done = lines - sum(len(job.pending) for job in jobs)
        # `disable=None`: no bar where standard error is not a terminal.
        with tqdm(total=lines, initial=done, unit="line", disable=None) as progress:
            queue = iter(jobs)
            await all_of(self._work(queue, shelves, progress) for _ in range(self._workers))

    async def _work(self, queue: Iterator[Job], shelves: Mapping[str, Shelf], progress: "tqdm[Any]") -> None:
        for job in queue:
            order_id = await self._ensure_order(job)
            for pending in job.pending:
                shelf = shelves[pending.line.sku]
                await shelf.turns.wait(pending.turn)
                await self._sell(order_id, pending, shelf)
                shelf.turns.finish()
                progress.update()

    async def _ensure_order(self, job: Job) -> int:
        """The id of the invoice's order; its bill and itself are created where they are missing."""
        if job.stored is not None and job.stored.order_id is not None:
            return job.stored.order_id
        total = totals_of([job.invoice]).revenue
        if job.stored is None:
            number = job.invoice.number
            bill: Row = {
                "bill_number": number,
                "total": total,
                "payment_type": "card",
                "client_id": job.client_id,
            }
            bill_id = await self._create_or_find("/bills", bill, "bill_number")
        else:
            bill_id = job.stored.bill_id
        order: Row = {
            "client_id": job.client_id,
            "bill_id": bill_id,
            "delivery_method": HOME_DELIVERY,
            "total": total,
        }
        return await self._create_or_find("/orders", order, "bill_id")

    async def _create_or_find(self, path: str, body: Row, unique: str) -> int:
        """The id of the row with this value of the field `unique`, created unless an interrupted run just did."""
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

    async def _sell(self, order_id: int, pending: PendingLine, shelf: Shelf) -> None:
        """Create one detail, at the file's price."""
        body = {
            "order_id": order_id,
            "product_id": shelf.product_id,
            "quantity": pending.line.quantity,
            "price": pending.line.price,
        }
        for _ in range(PRICE_ATTEMPTS):
            if shelf.price != pending.line.price:
                await self._api.put(f"/products/{shelf.product_id}", {"price": pending.line.price})
                shelf.price = pending.line.price
            try:
                await self._api.create_once("/order_details", body, f"online-retail-{order_id}-{pending.position}")
            except Refused as refusal:
                if refusal.code != "price_mismatch":
                    raise
                # Somebody else changed the price meanwhile; what it is now has to be asked.
                shelf.price = Decimal((await self._api.get(f"/products/{shelf.product_id}"))["price"])
            else:
                return
        raise Mismatch(f"The price of product {shelf.product_id} is being changed by somebody else all the time")


def reconcile(invoices: Sequence[Invoice], stored: Mapping[str, StoredInvoice], product_ids: Mapping[str, int]) -> bool:
    """Print what the file and the API hold, and say whether they agree, invoice by invoice."""
    wanted, reached = totals_of(invoices), stored_totals(stored.values())
    print(table(wanted, reached))
    differing = [
        invoice.number
        for invoice in invoices
        if invoice.number not in stored or stored[invoice.number].lines != expected_lines(invoice, product_ids)
    ]
    if differing:
        named = ", ".join(differing[:NAMED_AT_MOST]) + (", …" if len(differing) > NAMED_AT_MOST else "")
        print(f"{len(differing):,} invoices differ: {named}")
    return wanted == reached and not differing


def table(wanted: Totals, reached: Totals) -> str:
    """The reconciliation, one line for each total."""
    lines = [f"{'':<8} {'file':>14} {'API':>14}"]
    api_totals = reached._asdict()
    for name, file_side in wanted._asdict().items():
        api_side = api_totals[name]
        verdict = "" if file_side == api_side else f"  differs by {api_side - file_side:,}"
        lines.append(f"{name:<8} {file_side:>14,} {api_side:>14,}{verdict}")
    return "\n".join(lines)


def describe(sales: SalesFile, invoices: Sequence[Invoice]) -> str:
    """What is imported of the file and what is not."""
    beyond = len(sales.invoices) - len(invoices)
    return (
        f"To import: {len(invoices):,} invoices"
        + (f" ({beyond:,} more are beyond --limit)" if beyond else "")
        + f"\nNot imported: {sales.credit_lines:,} lines of {sales.credit_notes:,} credit notes, "
        f"{sales.adjustment_lines:,} lines of stock adjustments and write-offs"
    )


async def load(options: argparse.Namespace) -> int:
    """Do the whole import; the exit code."""
    try:
        sales = read_sales_file(options.file)
    except (SalesFileError, OSError) as error:
        raise ScriptError(f"cannot read {options.file}: {error}") from None
    invoices = sales.invoices[: options.limit]
    print(describe(sales, invoices), flush=True)
    async with ApiClient(options.base_url, connections=options.concurrency) as api:
        await api.check()
        if await Importer(api, sales, invoices, options.concurrency).run():
            return EXIT_FINE
    print("The API does not hold what the file says.", file=sys.stderr)
    return EXIT_MISMATCH


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 on")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.load_online_retail", description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, help="the file, as CSV or gzipped CSV")
    parser.add_argument("--base-url", default="http://127.0.0.1:8000", help="where the API serves (%(default)s)")
    parser.add_argument("--limit", type=_count, metavar="N", help="import only the first N invoices")
    parser.add_argument("--concurrency", type=_count, default=8, metavar="K", help="invoices at a time (%(default)s)")
    options = parser.parse_args(arguments)
    return run_script(lambda: load(options), sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
