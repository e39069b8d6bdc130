"""The background process by itself: `python -m scripts.worker`, on this machine or another, as many as there should be.

main.py and run_production.py start BACKGROUND_WORKERS of them beside the shop. It uses the database and the Redis that
the settings name, else the embedded ones, which it starts if nobody else has. It waits for a database that is away or
not migrated, and ends at SIGTERM or Ctrl-C, after DRAIN_SECONDS at most. With `--heartbeat FILE` its event loop touches the
file every five seconds: by its age, who watches from outside knows that the process hangs.
"""

import argparse
import asyncio
import os
import sys
from functools import partial
from pathlib import Path

from config.settings import get_settings
from infrastructure.database.migrations import migrate
from infrastructure.embedded.servers import running_servers
from infrastructure.server.production_checks import check_database_url, check_redis_url
from jobs.process import run
from scripts.database import EXIT_FINE, EXPECTED_ERRORS, name_database, report_error

_HEARTBEAT_SECONDS = 5.0


def beat(file: Path, loop: asyncio.AbstractEventLoop) -> None:
    """Touch the file now and every few seconds, as long as the event loop runs."""
    file.touch()
    loop.call_later(_HEARTBEAT_SECONDS, beat, file, loop)


def main() -> int:
    """Run until a signal; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--heartbeat", type=Path, metavar="FILE", help="touch this file every five seconds")
    heartbeat: Path | None = parser.parse_args().heartbeat
    try:
        settings = get_settings()
        if settings.outside_database_url is not None:
            check_database_url(settings)
            check_redis_url(settings)
        name_database(settings)
        with running_servers(settings) as urls:
            if settings.outside_database_url is None:
                migrate(urls.database_url)
            run(partial(beat, heartbeat) if heartbeat is not None else lambda loop: None)
    except EXPECTED_ERRORS as error:
        return report_error(error)
    return EXIT_FINE


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # A database thread may still wait for an answer that no longer counts.
    os._exit(code)
