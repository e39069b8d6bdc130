"""PostgreSQL as a distribution packages it, in a folder of a test's own; not there on every machine."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest

_PATIENCE_SECONDS = 60.0
_NOBODY = "nobody"


def programs() -> Path:
    """The folder of its programs; skips the test where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent


def account() -> dict[str, object]:
    """Whom a server runs as, which refuses to be root's."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam(_NOBODY)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@contextmanager
def folder_of_server() -> Iterator[Path]:
    """A folder that belongs to whom a server runs as, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="shop-server-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _NOBODY)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def debian_postgres(locales: tuple[str, ...] = (), **options: str) -> Iterator[str]:
    """The URL of a new server's first database, encoded in UTF-8 with the locale C.

    The server knows the `locales` of the C library beside those of this machine. `options` are its settings.
    """
    bin_folder = programs()
    with folder_of_server() as folder:
        for locale in locales:
            _make_locale(locale, folder)
        environment = {"PATH": os.environ["PATH"], **({"LOCPATH": str(folder)} if locales else {})}
        data = folder / "data"
        subprocess.run(
            [bin_folder / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--locale=C", "-E", "UTF8", "-N"],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
            **account(),  # type: ignore[call-overload]
        )
        settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off", **options}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        server = subprocess.Popen(
            [bin_folder / "postgres", "-D", data, *words],
            env=environment,
            stderr=subprocess.DEVNULL,
            **account(),  # type: ignore[call-overload]
        )
        url = f"postgresql+psycopg2://postgres@:5432/postgres?host={quote(str(folder))}"
        try:
            wait_until_ready(url)
            yield url
        finally:
            server.kill()
            server.wait()


def _make_locale(name: str, folder: Path) -> None:
    language, _, charset = name.partition(".")
    if shutil.which("localedef") is None:
        pytest.skip("localedef is not installed")
    made = subprocess.run(
        ["localedef", "-i", language, "-f", charset, folder / name], check=False, capture_output=True, text=True
    )
    if not (folder / name).exists():
        pytest.skip(f"the locale {name} cannot be made (apt-get install locales): {made.stderr}")
    for path in (folder / name, *(folder / name).rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            psycopg2.connect(url.replace("+psycopg2", "")).close()
            return
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.05)
