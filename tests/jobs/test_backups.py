"""Backups by the background process, at the times that an operator has set."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.orm import Session

from infrastructure.database.migrations import maintenance_engine
from repositories.job_schedules import JobSchedules
from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background
from tests.race.databases import execute

pytestmark = pytest.mark.integration


def due_now(work: Background) -> None:
    engine = maintenance_engine(work.url)
    with Session(engine) as session:
        JobSchedules(session).set("back_up", "0 4 * * *", datetime.now(UTC))
        session.commit()
    engine.dispose()


def test_a_backup_is_taken_and_proved_when_it_is_due(work: Background) -> None:
    work.start(BACKUP_DIR=str(work.folder / "kept"))
    due_now(work)
    wait_for(lambda: "is done: back_up" in work.log(), "the backup")
    (archive,) = (work.folder / "kept").glob("*.dump")
    assert f"The backup {archive.name} is verified" in work.log()
    assert "ERROR" not in work.log()


def test_what_is_wrong_with_one_is_an_error(work: Background) -> None:
    execute(work.url, "INSERT INTO bill_counters (kind, year, last_number) VALUES ('sale', 2020, 7)")
    work.start(BACKUP_DIR=str(work.folder / "kept"))
    due_now(work)
    wait_for(lambda: "is done: back_up" in work.log(), "the backup")
    assert "is not sound: sale bills of 2020" in work.log()


def test_a_folder_that_cannot_be_written_is_one_line(work: Background) -> None:
    (work.folder / "file").touch()
    work.start(BACKUP_DIR=str(work.folder / "file"))
    due_now(work)
    wait_for(lambda: "BACKUP_DIR" in work.log(), "the error")
    assert "cannot be used" in work.log()
