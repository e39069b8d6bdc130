"""Set right what the books of earlier releases lack: `python -m scripts.books --plan|--apply`.

Orders that were canceled before cancellations made credit bills have left bills that nobody pays. `--plan` lists what is
left of each, and the bills of another client than their order's, which only people can set right. `--apply` makes the
credit bills, each in a transaction of its own, numbered and dated on the day it runs; a second run makes none. The shop may
be at work meanwhile. The exit code is 0 when all is done or nothing was to do, 2 when it cannot be told.
"""

import argparse
import sys
from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from config.settings import get_settings
from repositories.author import Author, set_author
from repositories.books import Rows
from scripts.database import EXIT_FINE, EXPECTED_ERRORS, report_error, shop_database
from services.books import BooksService
from services.identity.audit import SYSTEM


def plan(engine: Engine) -> Rows:
    """Print what is to do; the canceled orders without their credit bill."""
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with Session(reader) as session:
        books = BooksService(session)
        canceled, foreign = books.unanswered_cancellations(), books.bills_of_others()
    left = sum((row.total - row.refunded for row in canceled), Decimal("0.00"))
    print(f"{len(canceled)} credit bills to make, over {left} together")
    for row in canceled:
        print(f"   order {row.id_key}: {row.total - row.refunded} of bill {row.bill_id} ({row.bill_number})")
    print(f"{len(foreign)} bills of another client than their order's")
    for row in foreign:
        bill = f"bill {row.bill_id} ({row.bill_number}) of client {row.bill_client_id}"
        print(f"   order {row.id_key} of client {row.client_id}: {bill}")
    return canceled


def apply(engine: Engine, canceled: Rows) -> int:
    """Make the credit bills; how many were made."""
    made = 0
    for row in canceled:
        with Session(engine) as session:
            set_author(session, Author(SYSTEM, "books", is_audited=get_settings().auth))
            made += BooksService(session).answer(row.id_key)
            session.commit()
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.books", description=__doc__.partition(":")[0])
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--plan", action="store_true", help="only say what would be done")
    wanted.add_argument("--apply", action="store_true", help="make the credit bills")
    options = parser.parse_args(arguments)
    try:
        with shop_database() as (engine, _):
            canceled = plan(engine)
            if options.apply:
                print(f"{apply(engine, canceled)} credit bills made")
    except EXPECTED_ERRORS as error:
        return report_error(error)
    return EXIT_FINE


if __name__ == "__main__":
    sys.exit(main())
