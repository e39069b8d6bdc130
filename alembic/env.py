"""How Alembic reaches the database: over the connection it is handed, or the one the settings name.

Typed at a prompt, it says which database that is and what it does there. Whatever moves a database leaves the revisions
behind it with it, for releases that are older than the newest of them.
"""

import logging
from contextlib import ExitStack, nullcontext
from functools import partial
from typing import Any

from alembic.operations.ops import CreateTableOp, ExecuteSQLOp, MigrationScript
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

import models
from alembic import context
from config.settings import SettingsError, get_settings
from infrastructure.database.database_url import name_of
from infrastructure.database.migration_steps import end_with_client, limit_waits, one_at_a_time, resuming, run_retried
from infrastructure.database.migrations import (
    Schema,
    heads,
    history_statement,
    maintenance_connection,
    named,
    schema_of,
)
from infrastructure.database.stoppable import Cancellation, run_stoppable
from infrastructure.database.suitability import UnsuitableDatabase, require_own_backend, require_place
from infrastructure.embedded.servers import EmbeddedServerError, running_servers
from infrastructure.server.production_checks import check_database_url, first_line
from infrastructure.server.stop_requests import StopRequests
from models.job import LIBRARY, VIEW

log = logging.getLogger("shop.migrations")

_MOVE_VERSION = (
    "CREATE TRIGGER move_version BEFORE UPDATE ON {table} FOR EACH ROW "
    "WHEN (NEW.updated_at <= OLD.updated_at) EXECUTE FUNCTION move_version()"
)
# Of Alembic's commands, by the names of their functions.
_CHANGING = ("upgrade", "downgrade", "do_stamp")
_REASONS = (SettingsError, EmbeddedServerError, SQLAlchemyError, UnsuitableDatabase)


def _run() -> None:
    handed = context.config.attributes.get("connection")
    if handed is not None:
        _migrate(handed, context.config.attributes.get("cancellation") or Cancellation())
        return
    stop, cancellation = StopRequests(), Cancellation()
    with ExitStack() as stack:
        stack.enter_context(stop.handling_signals())
        try:
            connection, name = _connected(stack, stop)
        except _REASONS as error:
            # In one line, as people at a prompt read it.
            raise CommandError(first_line(error)) from error
        stack.enter_context(cancellation.covering(connection))
        try:
            run_stoppable(partial(_migrate, connection, cancellation, name), cancellation, stop.requested)
        except UnsuitableDatabase as error:
            raise CommandError(first_line(error)) from error
        except SQLAlchemyError as error:
            if stop.requested():
                raise CommandError("Stopped: what the last step has changed is rolled back") from error
            raise


def _connected(stack: ExitStack, stop: StopRequests) -> tuple[Connection, str]:
    settings = get_settings()
    check_database_url(settings)
    servers = stack.enter_context(running_servers(settings, stopping=stop.requested))
    connection = stack.enter_context(maintenance_connection(servers.database_url))
    require_place(connection)
    if settings.outside_database_url is not None:
        require_own_backend(servers.database_url)
    return connection, name_of(servers.database_url)


def _migrate(connection: Connection, cancellation: Cancellation, name: str | None = None) -> None:
    """Do what Alembic was asked for; with the name of the database, say what that is."""
    end_with_client(connection)
    _configure(connection, says_steps=name is not None)
    changes = _is(*_CHANGING)
    says = name is not None and changes
    say = partial(print, flush=True) if says else log.info
    with one_at_a_time(connection, say) if changes else nullcontext():
        limit_waits(connection)
        before = schema_of(connection)
        if says:
            print(f"Database: {name}, at revision {before.name}", flush=True)
        if _is("upgrade") and _is_beyond(before):
            return
        run_retried(context.run_migrations, connection, cancellation)
        connection.commit()
        if says:
            after = schema_of(connection)
            print(f"Already at {after.name}: nothing to do" if after == before else f"Now at {after.name}")


def _configure(connection: Connection, says_steps: bool) -> None:
    context.configure(connection=connection)
    context.configure(
        connection=connection,
        fn=resuming(context.get_context().opts["fn"]),
        # Locks are held for one step, and what is done stays done.
        transaction_per_migration=True,
        target_metadata=models.Base.metadata,
        compare_type=True,
        compare_server_default=True,
        include_object=_is_ours,
        process_revision_directives=_add_triggers,
        on_version_apply=(_leave_history, _say_step) if says_steps else _leave_history,
    )


def _is_ours(item: Any, name: str | None, kind: str, reflected: bool, compared_with: Any) -> bool:
    """Whether the models say what it should be like: the library makes its tables itself, and views are no tables."""
    return kind != "table" or not (str(name).startswith(LIBRARY) or item.info.get(VIEW))


def _is_beyond(schema: Schema) -> bool:
    """Whether a newer release has moved the database beyond this one's migrations."""
    try:
        schema.require_known()
    except UnsuitableDatabase as error:
        raise CommandError(str(error)) from error
    if schema.is_newer:
        print(f"A newer release has built on revision {named(heads())}, the newest of this one: nothing to do")
    return schema.is_newer


def _is(*commands: str) -> bool:
    """Whether Alembic runs for one of these commands: it hands over what to do as a function with that name."""
    return context.get_context().opts["fn"].__name__ in commands


def _leave_history(*, ctx: MigrationContext, step: MigrationInfo, heads: set[str], run_args: Any) -> None:
    scripts = ScriptDirectory.from_config(context.config)
    history = {script.revision for script in scripts.iterate_revisions(tuple(heads), "base")} if heads else set()
    ctx.impl.execute(history_statement(heads, history))


def _say_step(*, ctx: MigrationContext, step: MigrationInfo, heads: set[str], run_args: Any) -> None:
    revision = step.up_revision
    print(f"{'Up' if step.is_upgrade else 'Down'} to {named(heads)}: {revision.doc if revision else ''}", flush=True)


def _add_triggers(ctx: MigrationContext, revision: Any, scripts: list[MigrationScript]) -> None:
    """Give every new table with versions the trigger that moves them: see migration 0008."""
    for script in scripts:
        made = script.upgrade_ops
        assert made is not None
        for table in [one for one in made.ops if isinstance(one, CreateTableOp)]:
            if any(getattr(column, "name", None) == "updated_at" for column in table.columns):
                made.ops.append(ExecuteSQLOp(_MOVE_VERSION.format(table=table.table_name)))


def _run_offline() -> None:
    """Print the SQL instead of running it (`alembic upgrade head --sql`)."""
    context.configure(
        dialect_name="postgresql",
        target_metadata=models.Base.metadata,
        literal_binds=True,
        # With that of the driver every % would be printed twice.
        dialect_opts={"paramstyle": "named"},
        on_version_apply=_leave_history,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _run_offline()
else:
    _run()
