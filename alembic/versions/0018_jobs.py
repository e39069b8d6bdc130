"""Jobs: the queue of procrastinate, and beside it what a job has come to, when tasks are due, and which events are relayed.

Revision ID: 0018
Revises: 0017
"""

from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# NOTIFY takes a lock that all commits of the server share; workers look every second, and Valkey wakes them.
_NOTIFY_TRIGGERS = ("procrastinate_jobs_notify_queue_job_inserted_v1", "procrastinate_jobs_notify_queue_job_aborted_v1")

_STATUS = (
    "CASE {status} WHEN 'todo' THEN 'queued' WHEN 'doing' THEN 'running' WHEN 'failed' THEN 'failed' ELSE 'canceled' END"
)
_VIEW = f"""
CREATE VIEW jobs AS SELECT
    job.id AS id_key,
    job.task_name::text AS task,
    {_STATUS.format(status="job.status")} AS status,
    job.args,
    job.attempts + (job.status = 'doing')::int AS attempts,
    (SELECT min(at) FROM procrastinate_events WHERE job_id = job.id AND type = 'deferred') AS created_at,
    job.scheduled_at,
    (SELECT max(at) FROM procrastinate_events WHERE job_id = job.id AND type = 'started') AS started_at,
    note.error,
    CASE WHEN note.done IS NOT NULL THEN json_build_object('done', note.done, 'total', note.total) END AS progress
FROM procrastinate_jobs AS job LEFT JOIN job_notes AS note ON note.job_id = job.id
"""
# For the lists of the view: by status, by task, and by both, each in the order of the keys.
_INDEXES = {
    "ix_jobs_status": f"(({_STATUS.format(status='status')})), id",
    "ix_jobs_task": "(task_name::text), id",
    "ix_jobs_task_status": f"(task_name::text), (({_STATUS.format(status='status')})), id",
}

_DROP_FUNCTIONS = """
DO $do$
DECLARE
    dropped record;
BEGIN
    FOR dropped IN SELECT oid::regprocedure AS name FROM pg_proc
        WHERE proname LIKE 'procrastinate\\_%' AND pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    LOOP
        EXECUTE format('DROP FUNCTION %s CASCADE', dropped.name);
    END LOOP;
END
$do$
"""


def upgrade() -> None:
    op.execute(_schema_of_library())
    for trigger in _NOTIFY_TRIGGERS:
        op.execute(f"DROP TRIGGER {trigger} ON procrastinate_jobs")
    _create_notes()
    op.execute(_VIEW)
    for name, columns in _INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON procrastinate_jobs ({columns})")
    op.create_table(
        "job_schedules",
        sa.Column("task", sa.String(length=128), nullable=False),
        sa.Column("cron", sa.String(length=80), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("task", name=op.f("pk_job_schedules")),
    )
    op.create_table(
        "event_relays",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_event_relays")),
    )
    op.execute("INSERT INTO event_relays (name) VALUES ('jobs')")


def _schema_of_library() -> str:
    """The schema file of the version that requirements.txt names. The package is found and not imported, which takes long."""
    package = find_spec("procrastinate")
    assert package is not None
    assert package.origin is not None
    return (Path(package.origin).parent / "sql" / "schema.sql").read_text(encoding="utf-8")


def _create_notes() -> None:
    op.create_table(
        "job_notes",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("deaths", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["procrastinate_jobs.id"],
            name=op.f("fk_job_notes_job_id_procrastinate_jobs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_notes")),
    )


def downgrade() -> None:
    op.drop_table("event_relays")
    op.drop_table("job_schedules")
    op.execute("DROP VIEW jobs")
    op.drop_table("job_notes")
    # Some of them return rows of the tables.
    op.execute(_DROP_FUNCTIONS)
    for table in ("periodic_defers", "events", "jobs", "workers"):
        op.drop_table(f"procrastinate_{table}")
    for name in ("job_to_defer_v1", "job_event_type", "job_status"):
        op.execute(f"DROP TYPE procrastinate_{name}")
