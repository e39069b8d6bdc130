"""Daily sales: the days whose bills have changed are computed anew, so that reports need not."""

from sqlalchemy.orm import Session

from jobs.attempt import Attempt
from jobs.task import task
from services.sales_report import refresh


@task(schedule="* * * * *")
def refresh_daily_sales(attempt: Attempt, session: Session) -> bool:
    """Compute some days; whether there may be more."""
    return refresh(session)
