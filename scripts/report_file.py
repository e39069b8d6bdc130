"""A report as a CSV file, for `scripts.export_csv`: what the options say it is about, and its lines."""

import argparse
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from schemas.base import Parameters
from schemas.report import MAX_ROWS, StockQuery
from services.csv.reports import REPORTS, csv_lines
from services.sales_report import SalesReportService, are_pending, refresh, today

_OPTIONS = ("from", "to", "group", "limit")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that say which report, and what it is about."""
    options = parser.add_argument_group("of reports, as the API has them")
    options.add_argument("--report", choices=REPORTS, help="which report (sales)")
    options.add_argument("--from", metavar="DAY", help="the first day, by the dates of bills; else thirty days")
    options.add_argument("--to", metavar="DAY", help="the last day; else today")
    options.add_argument("--group", help="by what sales are summed up: day, week, month, product, country, ...")
    options.add_argument("--limit", help=f"how many rows at most ({MAX_ROWS})")


def has_options(options: argparse.Namespace) -> bool:
    """Whether any of them was given."""
    return any(value is not None for value in (options.report, *_asked(options).values()))


def query_of(options: argparse.Namespace) -> Parameters:
    """What the report is about. Raises `ValueError` with one line for what the report does not take."""
    kind = REPORTS[options.report or "sales"].query
    asked = {name: [value] for name, value in _asked(options).items() if value is not None}
    if "limit" in kind.model_fields:
        asked.setdefault("limit", [str(MAX_ROWS)])
    try:
        return kind.model_validate(asked)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"--{first['loc'][0]}: {first['msg']}") from None


def report_lines(session: Session, options: argparse.Namespace, query: Any) -> Iterator[bytes]:
    """The lines of the file, from days that are up to date."""
    report = REPORTS[options.report or "sales"]
    days = None if isinstance(query, StockQuery) else query.days(today(session))
    if days is not None:
        while are_pending(session, days):
            refresh(session, days)
            session.commit()
    rows = report.read(SalesReportService(session), query, days)["rows"]
    return csv_lines(rows, report.columns, for_spreadsheets=options.for_spreadsheets)


def _asked(options: argparse.Namespace) -> dict[str, str | None]:
    return {name: getattr(options, name) for name in _OPTIONS}
