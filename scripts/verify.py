"""Prove by SQL that the shop's data keep its promises: `python -m scripts.verify [--repair [--yes]]`.

Each of the invariants is printed with the number of rows that were checked and the rows that break it. The
shop may be at work meanwhile: everything is read from one snapshot. The database is the one that the settings name
(DATABASE_URL or POSTGRES_*), else the embedded one. The exit code is 0 when all holds, 1 when something is broken,
2 when it cannot be told.
"""

import argparse
import sys
from collections.abc import Sequence

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from infrastructure.cache.tags import Invalidation
from scripts.cache_invalidation import invalidate_cache
from scripts.database import EXIT_FINE, EXPECTED_ERRORS, report_error, shop_database
from services.base import invalidation_of
from services.invariants import SHOWN_BREACHES, Finding
from services.repairs import Repair
from services.verification import VerificationService

EXIT_BROKEN = 1

_STALE = "what it has cached of the repaired rows until it expires"


def inspect(engine: Engine) -> tuple[list[Finding], list[Repair]]:
    """The findings of all invariants, and the possible repairs, in one snapshot."""
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with Session(reader) as session:
        service = VerificationService(session)
        return service.findings(), service.repairs()


def repair(engine: Engine, redis_url: str | None, repairs: Sequence[Repair]) -> None:
    """Apply the repairs, each in a transaction of its own, and invalidate the committed rows in a running shop's cache."""
    invalidation = Invalidation()
    try:
        for item in repairs:
            with Session(engine) as session:
                item.apply(session)
                session.commit()
                invalidation.tags |= invalidation_of(session).all_tags()
    finally:
        invalidate_cache(redis_url, invalidation, _STALE)


def report(findings: Sequence[Finding]) -> bool:
    """Print the findings; whether all is well."""
    for number, finding in enumerate(findings, start=1):
        checked = ", ".join(f"{count} {things}" for things, count in finding.checked.items())
        verdict = "BROKEN" if finding.breaches else "holds"
        print(f"{number}. {finding.invariant}: {verdict} ({checked} checked)")
        for breach in finding.breaches:
            print(f"   {breach}")
        if finding.more:
            print("   ... and more")
        for line in finding.older:
            print(f"   older than this rule: {line}")
    return not any(finding.breaches for finding in findings)


def _confirmed(repairs: Sequence[Repair], yes: bool) -> bool:
    """Show the repairs; whether the person at the terminal confirms them."""
    print(f"To be repaired ({len(repairs)}):")
    for item in repairs[:SHOWN_BREACHES]:
        print(f"   {item.text}")
    if len(repairs) > SHOWN_BREACHES:
        print(f"   ... and {len(repairs) - SHOWN_BREACHES} more")
    if yes:
        return True
    try:
        return input("Repair? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        # There is no terminal.
        print()
        return False


def verify(engine: Engine, redis_url: str | None, *, with_repair: bool, yes: bool) -> int:
    """Verify, and with `with_repair` repair and verify again; the exit code."""
    findings, repairs = inspect(engine)
    fine = report(findings)
    if with_repair and repairs and _confirmed(repairs, yes):
        repair(engine, redis_url, repairs)
        fine = report(inspect(engine)[0])
    return EXIT_FINE if fine else EXIT_BROKEN


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.verify", description=__doc__.partition(":")[0])
    parser.add_argument(
        "--repair",
        action="store_true",
        help="set what has one right answer: stock, totals, and keys of e-mail addresses",
    )
    parser.add_argument("--yes", action="store_true", help="repair without asking")
    options = parser.parse_args(arguments)
    if options.yes and not options.repair:
        parser.error("--yes goes with --repair")
    try:
        with shop_database() as (engine, urls):
            return verify(engine, urls.redis_url, with_repair=options.repair, yes=options.yes)
    except EXPECTED_ERRORS as error:
        return report_error(error)


if __name__ == "__main__":
    sys.exit(main())
