"""Background processes of a test's own, and what they have done."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from config.settings import PROJECT_ROOT
from tests.infrastructure.processes import wait_for
from tests.race.databases import execute, rows_of
from tests.shop import environment_of

_DEFER = """
    SELECT procrastinate_defer_jobs_v1(ARRAY[
        ROW(%s, %s, 0, %s, NULL, %s::jsonb, NULL)::procrastinate_job_to_defer_v1
    ])
"""


@dataclass
class Background:
    """A database with a table for the effects of example tasks, and the processes that work on it."""

    url: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    redis_url: str | None = None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, **settings: str) -> subprocess.Popen[bytes]:
        """Another process."""
        environment = environment_of(self.url, self.redis_url, self.folder, **(self.settings | settings))
        with (self.folder / f"log.{len(self.processes)}").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.jobs.example_tasks"],
                env={**os.environ, **environment, "EXAMPLES": str(self.folder)},
                cwd=PROJECT_ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def log(self) -> str:
        """What all of them have said."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("log.*")))

    def defer(self, task: str, lock: str | None = None, **args: object) -> int:
        """A job for them; its key."""
        ((keys,),) = rows_of(self.url, _DEFER, task, task, lock, json.dumps(args))
        return int(keys[0])

    def effects(self) -> list[str]:
        """What tasks have written."""
        return [name for (name,) in rows_of(self.url, "SELECT name FROM effects ORDER BY id")]

    def jobs(self) -> dict[int, str]:
        """The jobs that are there, and their statuses."""
        return dict(rows_of(self.url, "SELECT id_key, status FROM jobs ORDER BY id_key"))

    def wait_until_done(self) -> None:
        """Wait until no job is queued or running."""
        wait_for(lambda: not {"queued", "running"} & set(self.jobs().values()), "all jobs to be done")

    def wait_until_waiting(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until a task of the process says that it waits."""
        wait_for((self.folder / f"waits.{process.pid}").exists, "the task to wait")

    def go(self) -> None:
        """Let tasks that wait go on."""
        (self.folder / "go").touch()


@contextmanager
def background(url: str, folder: Path, redis_url: str | None = None, **settings: str) -> Iterator[Background]:
    """Background processes on the database of this URL, which are killed at the end."""
    execute(url, "CREATE TABLE effects (id bigserial PRIMARY KEY, name text, pid int)")
    one = Background(url, folder, settings, redis_url)
    try:
        yield one
    finally:
        for process in one.processes:
            process.kill()
            process.wait()
