"""The queue's tables are those of the library: an upgrade that changes them is noticed here, and takes a migration."""

from pathlib import Path

import procrastinate
import pytest
from sqlalchemy import make_url

from infrastructure.embedded.servers import ServerUrls
from tests.alembic_migrations.history import move
from tests.race.databases import execute, process_number, rows_of

pytestmark = pytest.mark.integration

# Left out by migration 0018.
NOTIFY_TRIGGERS = {
    "procrastinate_jobs_notify_queue_job_inserted_v1",
    "procrastinate_jobs_notify_queue_job_aborted_v1",
}
# Added by it, for the lists of the view `jobs`.
OUR_INDEXES = {"ix_jobs_status", "ix_jobs_task", "ix_jobs_task_status"}
OURS = NOTIFY_TRIGGERS | OUR_INDEXES

QUESTIONS = {
    "columns": "SELECT table_name || '.' || column_name, data_type || is_nullable || coalesce(column_default, '') || is_identity"
    " FROM information_schema.columns WHERE table_name LIKE 'procrastinate%'",
    "types": "SELECT typname || '.' || enumlabel, enumsortorder::text FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid"
    " WHERE typname LIKE 'procrastinate%'",
    "composites": "SELECT typname || '.' || attname, format_type(atttypid, atttypmod) FROM pg_type"
    " JOIN pg_attribute ON attrelid = typrelid WHERE typname LIKE 'procrastinate%' AND attnum > 0",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'procrastinate%'",
    "constraints": "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE conrelid::regclass::text LIKE 'procrastinate%'",
    "triggers": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger"
    " WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'procrastinate%'",
    "functions": "SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc WHERE proname LIKE 'procrastinate%'",
}


@pytest.fixture
def library_database(servers: ServerUrls) -> str:
    """The URL of a database in which the library itself has made its schema."""
    name = f"queue_of_library_{process_number()}"
    execute(servers.database_url, f"CREATE DATABASE {name}")
    url = make_url(servers.database_url).set(database=name).render_as_string(hide_password=False)
    execute(url, (Path(procrastinate.__file__).parent / "sql" / "schema.sql").read_text())
    return url


def test_the_queue_is_the_librarys_without_its_notices(empty_database: str, library_database: str) -> None:
    move(empty_database, "0018")
    for what, question in QUESTIONS.items():
        ours, theirs = (dict(rows_of(url, question)) for url in (empty_database, library_database))
        assert theirs, what
        shared = {name: text for name, text in ours.items() if name not in OURS}
        assert shared == {name: text for name, text in theirs.items() if name not in OURS}, what
        assert ours.keys() & NOTIFY_TRIGGERS == set(), what
    execute(empty_database, "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('default', 'one')")


def test_nothing_of_it_is_left_after_a_downgrade(empty_database: str) -> None:
    move(empty_database, "0018")
    execute(empty_database, "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('default', 'one')")
    move(empty_database, "0017")
    for what, question in QUESTIONS.items():
        assert rows_of(empty_database, question) == [], what
