"""What was refunded of a bill is the sum of its credit bills, by whichever way these are written."""

import threading

import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import connected, execute, new_database, rows_of

pytestmark = pytest.mark.integration

SALES = """
    INSERT INTO bills (bill_number, total, payment_type)
    VALUES ('SALE-1', 100, 'card'), ('SALE-2', 100, 'card')
"""
CREDIT = (
    "INSERT INTO bills (bill_number, total, payment_type, kind, refunds_bill_id)"
    " SELECT 'BACK-' || n, n, 'card', 'credit', 1 FROM generate_series({first}, {last}) n"
)


@pytest.fixture
def database(servers: ServerUrls) -> str:
    url = new_database(servers.database_url)
    execute(url, SALES)
    return url


def refunded(database: str) -> list[float]:
    rows = rows_of(database, "SELECT refunded FROM bills WHERE kind = 'sale' ORDER BY id_key")
    sums = rows_of(
        database,
        "SELECT (SELECT coalesce(sum(total), 0) FROM bills c WHERE c.refunds_bill_id = s.id_key)"
        " FROM bills s WHERE kind = 'sale' ORDER BY id_key",
    )
    assert rows == sums
    return [float(row[0]) for row in rows]


def test_it_follows_new_credit_bills_changed_ones_and_deleted_ones(database: str) -> None:
    assert refunded(database) == [0, 0]
    execute(database, CREDIT.format(first=1, last=4))
    assert refunded(database) == [10, 0]
    execute(database, "UPDATE bills SET total = total * 2 WHERE refunds_bill_id = 1 AND total >= 3")
    assert refunded(database) == [17, 0]
    execute(database, "UPDATE bills SET refunds_bill_id = 2, total = 9 WHERE bill_number = 'BACK-4'")
    assert refunded(database) == [9, 9]
    execute(database, "DELETE FROM bills WHERE bill_number IN ('BACK-1', 'BACK-4')")
    assert refunded(database) == [8, 0]


def test_its_change_moves_the_version_of_the_bill(database: str) -> None:
    version = "SELECT updated_at FROM bills WHERE id_key = 1"
    before = rows_of(database, version)
    execute(database, CREDIT.format(first=1, last=1))
    between = rows_of(database, version)
    assert between > before
    execute(database, "UPDATE bills SET payment_type = 'cash' WHERE refunds_bill_id = 1")
    assert rows_of(database, version) == between


def test_credit_bills_of_one_moment_all_count(database: str) -> None:
    def write(first: int) -> None:
        with connected(database) as connection, connection.cursor() as cursor:
            for number in range(first, first + 10):
                cursor.execute(CREDIT.format(first=number, last=number))

    threads = [threading.Thread(target=write, args=(first,)) for first in (1, 11, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refunded(database) == [465, 0]
