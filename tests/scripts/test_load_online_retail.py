"""The whole import against the running API: interrupted, repeated, extended, over a bad line, never doubled."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.api_client import EXIT_CANNOT, EXIT_FINE, EXIT_INTERRUPTED, EXIT_MISMATCH
from scripts.load_online_retail import Turns, main, table
from scripts.online_retail_file import Invoice, SaleLine, Totals, totals_of
from tests.scripts.retail_sample import Sample, write_sample
from tests.scripts.small_server import Answer, Request, forward, serving

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "scripts.load_online_retail"]


def assert_imported_once(base_url: str, sample: Sample) -> None:
    """The API holds each invoice of the file as it stands there; found without the code under test."""
    skus: dict[int, str] = {}
    with httpx.Client(base_url=base_url, trust_env=False) as http:
        for invoice in sample.invoices:
            (bill,) = http.get("/bills", params={"bill_number": invoice.number}).json()
            (order,) = http.get("/orders", params={"bill_id": bill["id_key"]}).json()
            details = http.get("/order_details", params={"order_id": order["id_key"], "limit": 1000}).json()
            for product_id in {row["product_id"] for row in details}.difference(skus):
                skus[product_id] = http.get(f"/products/{product_id}").json()["sku"]
            lines = [SaleLine(skus[row["product_id"]], row["quantity"], money(row["price"])) for row in details]
            assert lines == list(invoice.lines)
            assert money(bill["total"]) == money(order["total"]) == totals_of([invoice]).revenue


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
    """Run the program, and send it the signal as soon as the sixth invoice has begun."""
    process = subprocess.Popen(
        [*COMMAND, str(sample.path), "--base-url", base_url, "--concurrency", "3"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: bill_exists(base_url, sample.invoices[5]))
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert not bill_exists(base_url, sample.invoices[-1]), "the run was over before the signal came"
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.mark.integration
def test_the_file_goes_in_and_is_reconciled(
    live_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = write_sample(tmp_path)
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_FINE

    printed = capsys.readouterr()
    totals = totals_of(sample.invoices)
    assert "Not imported: 2 lines of 1 credit notes, 1 lines of stock adjustments" in printed.out
    assert printed.out.splitlines()[-2].split() == ["revenue", f"{totals.revenue:,}", f"{totals.revenue:,}"]
    assert printed.err == ""
    assert_imported_once(live_server, sample)
    last_prices = {line.sku: line.price for invoice in sample.invoices for line in invoice.lines}
    for sku, price in last_prices.items():
        row = product(live_server, sku)
        assert money(row["price"]) == price, "the price is not the one of the file's last sale"
        assert row["stock"] == 0


@pytest.mark.integration
def test_a_second_run_adds_nothing(live_server: str, tmp_path: Path) -> None:
    sample = write_sample(tmp_path, invoices=8)
    for _ in range(2):
        assert main([str(sample.path), "--base-url", live_server]) == EXIT_FINE
    assert_imported_once(live_server, sample)


@pytest.mark.integration
def test_a_larger_limit_goes_on_behind_a_smaller_one(live_server: str, tmp_path: Path) -> None:
    sample = write_sample(tmp_path, invoices=12)
    assert main([str(sample.path), "--base-url", live_server, "--limit", "5"]) == EXIT_FINE
    assert not bill_exists(live_server, sample.invoices[5])
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_FINE
    assert_imported_once(live_server, sample)


@pytest.mark.integration
def test_a_killed_run_is_resumed_without_doubling(live_server: str, tmp_path: Path) -> None:
    sample = write_sample(tmp_path, invoices=30)
    assert interrupted(live_server, sample, signal.SIGKILL).returncode == -signal.SIGKILL
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_FINE
    assert_imported_once(live_server, sample)


@pytest.mark.integration
def test_control_c_is_one_line_and_can_be_resumed(live_server: str, tmp_path: Path) -> None:
    sample = write_sample(tmp_path, invoices=30)
    stopped = interrupted(live_server, sample, signal.SIGINT)
    assert stopped.returncode == EXIT_INTERRUPTED
    assert stopped.stderr == "Interrupted; run this again to go on where it stopped.\n"
    assert main([str(sample.path), "--base-url", live_server]) == EXIT_FINE
    assert_imported_once(live_server, sample)


@pytest.mark.integration
def test_lost_answers_neither_lose_nor_double_anything(live_server: str, tmp_path: Path) -> None:
    """Every fifth request is done but not answered; every seventh is turned away with 503."""
    sample = write_sample(tmp_path, invoices=10)
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
    assert requests > sum(len(invoice.lines) for invoice in sample.invoices)
    assert_imported_once(live_server, sample)


@pytest.mark.integration
def test_somebody_elses_price_change_is_answered_with_the_files_price(live_server: str, tmp_path: Path) -> None:
    """Just before every tenth sale somebody else changes the product's price."""
    sample = write_sample(tmp_path, invoices=10)
    sales = 0

    def meddling(request: Request) -> Answer:
        nonlocal sales
        if request.method == "POST" and request.target == "/order_details":
            sales += 1
            if sales % 10 == 0:
                row = httpx.Response(200, content=request.body).json()
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


@pytest.mark.unit
def test_the_table_shows_a_missing_cent() -> None:
    wanted = Totals(1, 2, 3, Decimal("10.00"), Decimal("10.00"))
    shown = table(wanted, wanted._replace(revenue=Decimal("9.99"))).splitlines()
    assert shown[4].endswith("10.00           9.99  differs by -0.01")
    assert not any("differs" in line for line in shown[:4] + shown[5:])


@pytest.mark.unit
def test_turns_come_in_order_however_the_waiting_began() -> None:
    happened: list[int] = []

    async def sell(turns: Turns, turn: int) -> None:
        await turns.wait(turn)
        happened.append(turn)
        turns.finish()

    async def all_sell() -> None:
        turns = Turns()
        await asyncio.wait_for(asyncio.gather(*(sell(turns, turn) for turn in (3, 1, 4, 0, 2))), timeout=5)

    asyncio.run(all_sell())
    assert happened == [0, 1, 2, 3, 4]
