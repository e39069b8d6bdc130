"""What every connection to PostgreSQL is opened with, whoever opens it: a request, a probe, a migration, a script.

What the operator says in the URL, in a service or in the environment wins. None of it is sent as a start-up parameter
that a PgBouncer would refuse, or that would take the place of the operator's `options`: what the shop wants to be set
is set by SQL, on the new connection.
"""

from typing import Any

from infrastructure.database.database_url import target_of
from infrastructure.database.host_order import host_order

# For each address that a host has.
CONNECT_TIMEOUT_SECONDS = 2
# A server that is gone without a word (a failed-over address, a firewall that forgot) is found out after so long.
SILENCE_SECONDS = 8
# For long work: a server that is too busy to take the next rows of a COPY counts as silent too.
LONG_SILENCE_SECONDS = 60

# What the shop relies on, whatever a role, a database or the environment have set: how dates and texts are written, how
# transactions see each other, and that no connection is ended because it rests. And that no statement is compiled first:
# where tables are new or large, PostgreSQL expects so much of a small one that this takes it half a second.
SESSION_SETTINGS = (
    # First, because it would bound the others.
    "SET statement_timeout = 0; "
    "SET datestyle = ISO; SET TIME ZONE 'UTC'; SET standard_conforming_strings = on; SET array_nulls = on; "
    "SET default_transaction_isolation = 'read committed'; SET jit = off; "
    # Not every version has all of these.
    "SELECT set_config(name, '0', false) FROM pg_settings "
    "WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"
)

_PROBES = 3


def connection_options(url: str, name: str, silence: int = SILENCE_SECONDS) -> dict[str, Any]:
    """The options of libpq for a connection to `url`, beside those that the URL has itself.

    PostgreSQL knows the connection by `name`. A server that is not heard of for `silence` seconds is given up, if the
    system can tell: it cannot as long as something in between acknowledges what is sent. Of several hosts it has to be
    one that takes writes: a standby may not know yet what the primary has acknowledged.
    """
    given = target_of(url).options
    hosts = host_order(url)
    between_probes = silence // (_PROBES + 1)
    wanted = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        # After so long a rest the connection is probed; it is dead when so many probes, so far apart, are not answered.
        "keepalives_idle": silence - _PROBES * between_probes,
        "keepalives_interval": between_probes,
        "keepalives_count": _PROBES,
        # The same for what was sent and is not acknowledged, in milliseconds.
        "tcp_user_timeout": silence * 1000,
        # It counts where nobody gives an `application_name`.
        "fallback_application_name": name,
    }
    if hosts.has_several:
        wanted["target_session_attrs"] = "read-write"
    options = {option: value for option, value in wanted.items() if option not in given} | hosts.options()
    # Texts of the shop are UTF-8, whatever PGCLIENTENCODING says.
    return options | {"client_encoding": "utf8"}
