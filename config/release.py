"""Which release this is: its number, the commit and the time of its build, and when this process began."""

import datetime as dt
import re
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from config.settings import PROJECT_ROOT, Settings

RELEASE = "1.0.0"
# Workers are forks and have it from their launcher, so that a replaced worker is no further start.
STARTED_AT = dt.datetime.now(dt.UTC)

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Build:
    """A release as it was built. Nobody knows the commit of a copy without its repository, unless BUILD_COMMIT says it."""

    release: str
    commit: str | None
    build_time: dt.datetime | None


def build_of(settings: Settings) -> Build:
    """The build that runs: as an image was told, else by the working copy."""
    return Build(RELEASE, settings.build_commit or _checked_out(PROJECT_ROOT / ".git"), settings.build_time)


def host_name() -> str:
    """The name of this machine, or of this container."""
    return socket.gethostname()


@cache
def _checked_out(repository: Path) -> str | None:
    """The commit that is checked out, read from the repository itself: git may not be installed."""
    try:
        head = (repository / "HEAD").read_text().strip()
        if head.startswith("ref: "):
            head = _commit_of(repository, head.removeprefix("ref: "))
    except (OSError, ValueError):
        return None
    return head if _COMMIT.fullmatch(head) else None


def _commit_of(repository: Path, branch: str) -> str:
    file = repository / branch
    if file.is_file():
        return file.read_text().strip()
    packed = (line.partition(" ") for line in (repository / "packed-refs").read_text().splitlines())
    return next((commit for commit, _, name in packed if name == branch), "")
