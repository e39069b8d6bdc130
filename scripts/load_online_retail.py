"""Load the "Online Retail" file through the running API, as a shop would have sold it.

    python -m scripts.load_online_retail FILE [--base-url URL] [--limit N] [--concurrency K]

First categories, products, and clients with an address in each country that they bought from; then every invoice in one checkout, after setting the prices of its products
where the file has other ones; at last the returns of the credit notes.

It may be interrupted at any moment and run again. Existing rows are read first, and found by their natural keys:
category name, sku, e-mail, bill number. An invoice of one checkout exists completely or not at all. Of an invoice that
is sold line by line, and of the returns from an order, the existing rows must be the first ones of the file, and the
run continues after them. At the end the API is read again and reconciled with the file, to the unit and to the cent.

Exit code: 0 all is there; 1 something differs; 2 it could not be done; 130 interrupted.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from scripts.api_client import ApiClient, Row, name_shop, run_all, run_script
from scripts.api_errors import EXIT_FINE, EXIT_MISMATCH, ScriptError
from scripts.credentials import credentials_for
from scripts.online_retail_file import Invoice, SalesFile, SalesFileError, read_sales_file
from scripts.online_retail_report import describe, reconcile
from scripts.online_retail_returns import Matching, match_credit_notes
from scripts.online_retail_selling import ClientAt, ListedProduct, Seller
from scripts.online_retail_stored import (
    Job,
    ReturnJob,
    StoredInvoice,
    plan_jobs,
    plan_returns,
    read_back,
    units_pending,
)

STREET = "Online Retail"
"""The street of the addresses that stand for the countries of the file, which has no other part of an address."""

PENDING, IN_PROGRESS = 1, 2
"""The statuses of an order that matter here: nothing can be returned from a PENDING one."""

J = TypeVar("J")


def email_of(customer_id: str) -> str:
    """The address that stands for a customer of the file; an empty id is the guest."""
    return f"online-retail-{customer_id or 'guest'}@example.com".lower()


class Importer:
    """Imports the invoices of one file into the shop of `api`, `workers` invoices at a time."""

    def __init__(
        self, api: ApiClient, sales: SalesFile, invoices: Sequence[Invoice], matching: Matching, workers: int
    ) -> None:
        self._api = api
        self._sales = sales
        self._invoices = invoices
        self._matching = matching
        self._workers = workers

    async def run(self) -> bool:
        """Import what is missing, print the reconciliation, and say whether both sides agree."""
        products = await self._ensure_products()
        client_ids = await self._ensure_clients()
        addresses = await self._ensure_addresses(client_ids)
        product_ids = {sku: int(row["id_key"]) for sku, row in products.items()}
        stored = await self._read_back()
        jobs = plan_jobs(self._invoices, stored, product_ids, client_ids)
        if jobs:
            await self._ensure_stock(jobs, products)
            await self._sell_all(jobs, products, addresses)
            stored = await self._read_back()
        return_jobs = plan_returns(self._matching.returns, stored)
        if return_jobs:
            await self._book_returns(return_jobs)
            stored = await self._read_back()
        return reconcile(self._invoices, self._matching, stored, product_ids)

    async def _read_back(self) -> dict[str, StoredInvoice]:
        return await read_back(self._api, {invoice.number for invoice in self._invoices})

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

    async def _ensure_addresses(self, client_ids: Mapping[str, int]) -> dict[ClientAt, int]:
        """The ids of the addresses: one for each country that a client has bought from."""
        wanted = {(client_ids[invoice.customer_id], invoice.country) for invoice in self._invoices if invoice.country}
        addresses: dict[ClientAt, int] = {}
        async for row in self._api.pages("/addresses"):
            if row["street"] == STREET and (row["client_id"], row["country"]) in wanted:
                addresses.setdefault((row["client_id"], row["country"]), row["id_key"])

        async def create(place: ClientAt) -> None:
            client_id, country = place
            body = {"client_id": client_id, "street": STREET, "city": country, "country": country}
            row = await self._api.create_once("/addresses", body, f"online-retail-{client_id}-{country}")
            addresses[place] = row["id_key"]

        await self._run_jobs([place for place in sorted(wanted) if place not in addresses], create)
        return addresses

    async def _ensure_stock(self, jobs: Sequence[Job], products: Mapping[str, Row]) -> None:
        """Receive what the stock lacks for the pending lines: nothing, unless an earlier run had a smaller limit."""
        for sku, units in units_pending(jobs).items():
            missing = units - products[sku]["stock"]
            if missing > 0:
                path = f"/products/{products[sku]['id_key']}/stock"
                await self._api.post(path, {"delta": missing, "reason": "receipt"})

    async def _sell_all(
        self, jobs: Sequence[Job], products: Mapping[str, Row], addresses: Mapping[ClientAt, int]
    ) -> None:
        listed = {sku: ListedProduct(row["id_key"], Decimal(row["price"])) for sku, row in products.items()}
        lines = sum(len(invoice.lines) for invoice in self._invoices)
        done = lines - sum(len(job.pending) for job in jobs)
        with _progress(lines, done, "line") as progress:
            await self._run_jobs(jobs, Seller(self._api, listed, addresses, progress.update).sell)

    async def _book_returns(self, jobs: Sequence[ReturnJob]) -> None:
        returns = len(self._matching.returns)
        done = returns - sum(len(job.pending) for job in jobs)
        with _progress(returns, done, "return") as progress:

            async def book(job: ReturnJob) -> None:
                await self._book(job, progress)

            await self._run_jobs(jobs, book)

    async def _book(self, job: ReturnJob, progress: "tqdm[Any]") -> None:
        order = job.order
        if order.status == PENDING:
            # A change to a given status, so that a repeat cannot advance the order any further.
            await self._api.put(f"/orders/{order.order_id}", {"status": IN_PROGRESS})
        for booked in job.pending:
            lines = [
                {"order_detail_id": order.details[line.position].id_key, "quantity": line.quantity}
                for line in booked.lines
            ]
            body = {"lines": lines, "reason": f"Credit note {booked.note}"}
            path = f"/orders/{order.order_id}/returns"
            await self._api.create_once(path, body, f"online-retail-{booked.note}-{order.order_id}", "/bills")
            progress.update()

    async def _run_jobs(self, jobs: Iterable[J], do: Callable[[J], Awaitable[None]]) -> None:
        """Let the workers do all jobs, each taking the next one in order."""
        queue = iter(jobs)
        await run_all(_run_worker(queue, do) for _ in range(self._workers))


async def _run_worker(queue: Iterator[J], do: Callable[[J], Awaitable[None]]) -> None:
    for job in queue:
        await do(job)


def _progress(total: int, done: int, unit: str) -> "tqdm[Any]":
    # `disable=None`: no bar where standard error is not a terminal.
    return tqdm(total=total, initial=done, unit=unit, disable=None)


async def load(options: argparse.Namespace) -> int:
    """Do the whole import; the exit code."""
    name_shop(options.base_url)
    try:
        sales = read_sales_file(options.file)
    except (SalesFileError, OSError) as error:
        raise ScriptError(f"cannot read {options.file}: {error}") from None
    invoices = sales.invoices[: options.limit]
    matching = match_credit_notes(sales, invoices)
    print(describe(sales, invoices, matching), flush=True)
    with credentials_for(options.base_url) as headers:
        async with ApiClient(options.base_url, connections=options.concurrency, headers=headers) as api:
            await api.check()
            if await Importer(api, sales, invoices, matching, options.concurrency).run():
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
