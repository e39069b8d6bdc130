"""The whole import against the running API: interrupted, repeated, extended, over a bad line, never doubled."""

import datetime as dt
import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.api_errors import EXIT_CANNOT, EXIT_FINE, EXIT_INTERRUPTED, EXIT_MISMATCH
from scripts.load_online_retail import main
from scripts.online_retail_file import Invoice, SaleLine, totals_of
from tests.scripts.retail_sample import Sample, write_sample
from tests.scripts.small_server import Answer, Request, forward, serving

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "scripts.load_online_retail"]


def assert_imported_once(base_url: str, sample: Sample) -> None:
    """The API holds each invoice and each return of the file once; found without the code under test."""
    skus: dict[int, str] = {}
    with httpx.Client(base_url=base_url, trust_env=False) as http:
        for invoice in sample.invoices:
            (bill,) = http.get("/bills", params={"bill_number": invoice.number}).json()
            (order,) = http.get("/orders", params={"bill_id": bill["id_key"]}).json()
            assert (order["ship_to"] or {}).get("country") == invoice.country
            details = http.get("/order_details", params={"order_id": order["id_key"], "limit": 1000}).json()
            for product_id in {row["product_id"] for row in details}.difference(skus):
                skus[product_id] = http.get(f"/products/{product_id}").json()["sku"]
            lines = [SaleLine(skus[row["product_id"]], row["quantity"], money(row["price"])) for row in details]
            assert lines == list(invoice.lines)
            assert money(bill["total"]) == money(order["total"]) == totals_of([invoice]).revenue
            returned = [sample.returned[invoice.number, place] for place in range(len(details))]
            assert [row["returned_quantity"] for row in details] == returned
            refunded = sum((line.price * units for line, units in zip(lines, returned, strict=True)), Decimal(0))
            bills = http.get("/bills", params={"client_id": order["client_id"], "limit": 1000}).json()
            credits = [money(row["total"]) for row in bills if row["refunds_bill_id"] == bill["id_key"]]
            assert sum(credits) == money(order["returned_total"]) == refunded
            assert order["status"] == (2 if refunded else 1)


def money(number: float) -> Decimal:
    return Decimal(str(number))


def product(base_url: str, sku: str) -> dict[str, Any]:
    rows = httpx.get(f"{base_url}/products", params={"sku": sku}, trust_env=False).json()
    (found,) = [row for row in rows if row["sku"] == sku]
    row: dict[str, Any] = found
    return row


def bill_exists(base_url: str, invoice: Invoice) -> bool:
    return bool(httpx.get(f"{base_url}/bills", params={"bill_number": invoice.number}, trust_env=False).json())


def interrupted(base_url: str, sample: Sample, number: signal.Signals) -> subprocess.CompletedProcess[str]:
    """Run the program, and send it the signal while the order of its seventh invoice is not answered."""
    reached, over = threading.Event(), threading.Event()
    checkouts = 0

    def stopping_short(request: Request) -> Answer | None:
        nonlocal checkouts
        checkouts += request.target == "/checkout"
        if checkouts <= 6:
            return forward(base_url, request)
        reached.set()
        over.wait()
        return None

    with serving(stopping_short) as url:
        process = subprocess.Popen(
            [*COMMAND, str(sample.path), "--base-url", url, "--concurrency", "1"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            while not reached.wait(0.1):
                assert process.poll() is None, process.communicate()
            process.send_signal(number)
            output, errors = process.communicate()
        finally:
            over.set()
            process.kill()
            process.wait()
    assert bill_exists(base_url, sample.invoices[5])
    assert not bill_exists(base_url, sample.invoices[-1])
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


@pytest.mark.integration
def test_the_file_goes_in_and_is_reconciled(
    live_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = write_sample(tmp_path, invoices=12)
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_FINE

    printed = capsys.readouterr()
    totals = totals_of(sample.invoices)
    assert "To book as returns: 3 of 5 lines of 3 credit notes" in printed.out
    assert "Not imported: 2 lines of credit notes, 1 lines of stock adjustments" in printed.out
    assert "among them no goods: 1 x D (Discount)" in printed.out
    figures = {line.split()[0]: line.split()[1:] for line in printed.out.splitlines()[-9:]}
    assert figures["revenue"] == [f"{totals.revenue:,}"] * 2
    assert figures["returned"] == ["3", "3"]
    assert figures["credited"] == [f"{sample.refunded:,}"] * 2
    assert printed.err == ""
    assert_imported_once(live_server, sample)
    last_prices = {line.sku: line.price for invoice in sample.invoices for line in invoice.lines}
    for sku, price in last_prices.items():
        row = product(live_server, sku)
        assert money(row["price"]) == price, "the price is not the one of the file's last sale"
        assert row["stock"] == sum(
            sample.returned[invoice.number, place]
            for invoice in sample.invoices
            for place, line in enumerate(invoice.lines)
            if line.sku == sku
        )


def by_country(base_url: str, first: dt.date) -> dict[str | None, Counter[str]]:
    """What the report says of each country, in cents, from that day on."""
    period: dict[str, str | int] = {"from": str(first), "to": str(first + dt.timedelta(2)), "limit": 1000}
    rows = httpx.get(f"{base_url}/reports/sales", params={**period, "group": "country"}, trust_env=False).json()["rows"]
    return {
        row["key"]: Counter(
            {name: int(money(row[name]) * 100) for name in ("orders", "units", "gross", "refunded", "net", "shipping")}
        )
        for row in rows
    }


@pytest.mark.integration
def test_the_report_of_countries_is_the_files_to_the_penny(live_server: str, tmp_path: Path) -> None:
    sample = write_sample(tmp_path, invoices=12)
    first = dt.datetime.now(dt.UTC).date()
    before = by_country(live_server, first)
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_FINE
    after = by_country(live_server, first)
    wanted: dict[str | None, Counter[str]] = {}
    for invoice in sample.invoices:
        sold = wanted.setdefault(invoice.country, Counter())
        refunded = sum(line.price * sample.returned[invoice.number, at] for at, line in enumerate(invoice.lines))
        totals = totals_of([invoice])
        cents = {"gross": totals.revenue, "refunded": refunded, "net": totals.revenue - refunded}
        sold.update({name: int(amount * 100) for name, amount in cents.items()})
        sold.update({"orders": 100, "units": 100 * totals.units})
    assert set(wanted) == {"GB", "IE", "JE", None}
    for country, figures in wanted.items():
        more = after[country].copy()
        more.subtract(before.get(country, Counter()))
        assert {name: number for name, number in more.items() if number} == {
            name: number for name, number in figures.items() if number
        }


@pytest.mark.integration
def test_an_invoice_is_one_checkout_unless_a_product_has_two_prices(live_server: str, tmp_path: Path) -> None:
    sample = write_sample(tmp_path, invoices=12)
    requests: Counter[str] = Counter()

    def counting(request: Request) -> Answer:
        requests[f"{request.method} {request.target}"] += 1
        return forward(live_server, request)

    with serving(counting) as url:
        assert main([str(sample.path), "--base-url", url]) == EXIT_FINE
    piecewise = [
        invoice
        for invoice in sample.invoices
        if len({(line.sku, line.price) for line in invoice.lines}) > len({line.sku for line in invoice.lines})
    ]
    assert 0 < len(piecewise) < len(sample.invoices)
    assert requests["POST /checkout"] == len(sample.invoices) - len(piecewise)
    assert requests["POST /bills"] == requests["POST /orders"] == len(piecewise)
    assert requests["POST /order_details"] == sum(len(invoice.lines) for invoice in piecewise)


@pytest.mark.integration
def test_a_second_run_writes_nothing(live_server: str, tmp_path: Path) -> None:
    sample = write_sample(tmp_path, invoices=8)
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_FINE

    def read_only(request: Request) -> Answer:
        return forward(live_server, request) if request.method == "GET" else Answer(HTTPStatus.BAD_REQUEST)

    with serving(read_only) as url:
        assert main([str(sample.path), "--base-url", url]) == EXIT_FINE
    assert_imported_once(live_server, sample)


@pytest.mark.integration
def test_a_run_that_stopped_between_two_returns_goes_on_there(live_server: str, tmp_path: Path) -> None:
    sample = write_sample(tmp_path, invoices=8)
    returns: list[str] = []

    def refusing(request: Request) -> Answer:
        if request.target.endswith("/returns"):
            returns.append(request.target)
            if len(returns) == 2:
                return Answer(HTTPStatus.BAD_REQUEST)
        return forward(live_server, request)

    with serving(refusing) as url:
        arguments = [str(sample.path), "--base-url", url, "--concurrency", "1"]
        assert main(arguments) == EXIT_CANNOT
        assert main(arguments) == EXIT_FINE
    assert len(returns) == 3
    assert_imported_once(live_server, sample)


@pytest.mark.integration
def test_a_return_by_somebody_else_is_a_mismatch(
    live_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = write_sample(tmp_path, invoices=5)
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_FINE
    with httpx.Client(base_url=live_server, trust_env=False) as http:
        (bill,) = http.get("/bills", params={"bill_number": sample.invoices[0].number}).json()
        (order,) = http.get("/orders", params={"bill_id": bill["id_key"], "expand": "order_details"}).json()
        http.post(f"/orders/{order['id_key']}/advance").raise_for_status()
        line = {"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}
        http.post(f"/orders/{order['id_key']}/returns", json={"lines": [line]}).raise_for_status()
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_MISMATCH
    assert f"bill {sample.invoices[0].number} has other returns" in capsys.readouterr().err


@pytest.mark.integration
def test_a_larger_limit_goes_on_behind_a_smaller_one(live_server: str, tmp_path: Path) -> None:
    sample = write_sample(tmp_path, invoices=12)
    assert main([str(sample.path), "--base-url", live_server, "--limit", "5"]) == EXIT_FINE
    assert not bill_exists(live_server, sample.invoices[5])
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_FINE
    assert_imported_once(live_server, sample)


@pytest.mark.integration
def test_a_killed_run_is_resumed_without_doubling(live_server: str, tmp_path: Path) -> None:
    sample = write_sample(tmp_path, invoices=20)
    assert interrupted(live_server, sample, signal.SIGKILL).returncode == -signal.SIGKILL
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_FINE
    assert_imported_once(live_server, sample)


@pytest.mark.integration
def test_control_c_is_one_line_and_can_be_resumed(live_server: str, tmp_path: Path) -> None:
    sample = write_sample(tmp_path, invoices=20)
    stopped = interrupted(live_server, sample, signal.SIGINT)
    assert stopped.returncode == EXIT_INTERRUPTED
    assert stopped.stderr == "Interrupted; run this again to go on where it stopped.\n"
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_FINE
    assert_imported_once(live_server, sample)


@pytest.mark.integration
def test_lost_answers_neither_lose_nor_double_anything(live_server: str, tmp_path: Path) -> None:
    """Every fifth request is done but not answered; every seventh is turned away with 503."""
    sample = write_sample(tmp_path, invoices=6)
    requests = 0

    def lossy(request: Request) -> Answer | None:
        nonlocal requests
        requests += 1
        if requests % 7 == 0:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"busy")
        answer = forward(live_server, request)
        return None if requests % 5 == 0 else answer

    with serving(lossy) as url:
        assert main([str(sample.path), "--base-url", url]) == EXIT_FINE
    assert requests > 50
    assert_imported_once(live_server, sample)


@pytest.mark.integration
def test_somebody_elses_price_change_is_answered_with_the_files_price(live_server: str, tmp_path: Path) -> None:
    """Just before every third checkout or line, repeats aside, somebody else changes the price of a product in it."""
    sample = write_sample(tmp_path, invoices=8)
    keys: set[str] = set()

    def meddling(request: Request) -> Answer:
        key = request.headers.get("Idempotency-Key", "")
        if request.target in ("/checkout", "/order_details") and key not in keys:
            keys.add(key)
            if len(keys) % 3 == 0:
                body = json.loads(request.body)
                row = body.get("lines", [body])[-1]
                place = f"{live_server}/products/{row['product_id']}"
                httpx.put(place, json={"price": 77.77}, trust_env=False).raise_for_status()
        return forward(live_server, request)

    with serving(meddling) as url:
        assert main([str(sample.path), "--base-url", url]) == EXIT_FINE
    assert_imported_once(live_server, sample)


@pytest.mark.integration
def test_a_bill_that_is_not_the_files_is_a_mismatch(
    live_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = write_sample(tmp_path, invoices=3)
    bill = {"bill_number": sample.invoices[1].number, "total": 1, "payment_type": "cash"}
    httpx.post(f"{live_server}/bills", json=bill, trust_env=False).raise_for_status()
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_MISMATCH
    assert capsys.readouterr().err.startswith(f"Stopped: Bill {sample.invoices[1].number} exists in the API")


@pytest.mark.integration
def test_a_refused_line_stops_the_run_with_the_apis_words(
    live_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = write_sample(tmp_path, invoices=6)
    assert main([str(sample.path), "--base-url", live_server, "--limit", "1"]) == EXIT_FINE
    row = product(live_server, sample.invoices[0].lines[0].sku)
    place = f"{live_server}/products/{row['id_key']}"
    httpx.put(place, json={"active": False}, trust_env=False).raise_for_status()
    capsys.readouterr()

    assert main([str(sample.path), "--base-url", live_server]) == EXIT_CANNOT
    assert f"was refused with 400: Product {row['id_key']} is not available" in capsys.readouterr().err

    httpx.put(place, json={"active": True}, trust_env=False).raise_for_status()
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_FINE
    assert_imported_once(live_server, sample)


@pytest.mark.unit
def test_the_rate_limit_stops_it_with_one_line_that_names_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = write_sample(tmp_path, invoices=2)
    with serving(lambda _: Answer(HTTPStatus.TOO_MANY_REQUESTS)) as url:
        assert main([str(sample.path), "--base-url", url]) == EXIT_CANNOT
    errors = capsys.readouterr().err
    assert "RATE_LIMIT_EXEMPT=" in errors
    assert errors.count("\n") == 1


@pytest.mark.unit
def test_a_missing_api_and_a_missing_file_are_one_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = write_sample(tmp_path, invoices=2)
    assert main([str(sample.path), "--base-url", "http://127.0.0.1:1"]) == EXIT_CANNOT
    assert capsys.readouterr().err.startswith("Stopped: No shop answers at http://127.0.0.1:1")
    assert main([str(tmp_path / "nothing.csv")]) == EXIT_CANNOT
    assert capsys.readouterr().err.startswith("Stopped: cannot read ")


@pytest.mark.unit
@pytest.mark.parametrize("limit", ["0", "-3", "many"])
def test_an_unusable_limit_is_a_usage_error(limit: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / "file.csv"), "--limit", limit])
    assert caught.value.code == EXIT_CANNOT
