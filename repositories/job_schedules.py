"""The schedules that an operator has set, beside those of the code (see `repositories.job_sources`)."""

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.job import JobSchedule


class JobSchedules:
    """When tasks are due next, by the clock of the database."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def now(self) -> datetime:
        """The time of the database."""
        now: datetime = self.session.execute(select(func.clock_timestamp())).scalar_one()
        return now

    def set(self, task: str, cron: str, due_at: datetime) -> None:
        """Have the task run at these times."""
        statement = insert(JobSchedule).values(task=task, cron=cron, due_at=due_at)
        self.session.execute(
            statement.on_conflict_do_update(index_elements=["task"], set_={"cron": cron, "due_at": due_at})
        )

    def remove(self, task: str) -> None:
        """Have the task run no more."""
        self.session.execute(delete(JobSchedule).where(JobSchedule.task == task))
