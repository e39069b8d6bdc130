"""The limit of open files (`ulimit -n`): raised as far as the system allows, and what it leaves for connections of clients.

Beyond it the system would reset newcomers, and no log would tell. So a worker accepts only as many as there is room for.
"""

import resource
from contextlib import suppress

# For connections to the database and Redis, for files, and for connections that are about to be refused: what is asked
# for, and what is kept where the system allows less.
_OTHER_FILES, _FEWEST_OTHER_FILES = 500, 128


def room_for_connections(wanted: int) -> int:
    """Raise the soft limit of this process and its children; returns for how many connections there is room, up to `wanted`."""
    files = 2 * wanted + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < files:
        highest = files if hard == resource.RLIM_INFINITY else min(files, hard)
        with suppress(OSError, ValueError):  # The limit of macOS is lower than it reports.
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, soft - _FEWEST_OTHER_FILES))
