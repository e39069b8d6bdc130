"""The folder of the backups: what is in it, how old and large each is, and which are kept.

A backup is two files: `shop-20261129T020000Z.dump`, the archive of pg_dump in its custom format, and beside it the same name
with `.json`, what is known of it. That one is written last, so that what lacks it is no backup.
"""

import datetime as dt
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from infrastructure.backup.errors import BackupError
from infrastructure.embedded.file_lock import FileLock

_LOCK = "backup.lock"
_UNFINISHED = ".partial"
_ARCHIVE = ".dump"
_ABOUT = ".json"
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Backup:
    """What is known of a backup. `size` is in bytes, `rows` how many rows each table of the schema had in the snapshot.

    `revisions` and `history` are the migrations of the database (see `infrastructure.database.migrations.Schema`).
    `verified_at` is when it was last restored and found sound.
    """

    name: str
    taken_at: dt.datetime
    size: int
    sha256: str
    server_version: str
    schema: str
    revisions: tuple[str, ...]
    history: tuple[str, ...]
    rows: dict[str, int]
    verified_at: dt.datetime | None = None

    @property
    def server_major(self) -> int:
        """The major version of the server that it was taken of."""
        return int(self.server_version.partition(".")[0])

    def age(self, now: dt.datetime | None = None) -> dt.timedelta:
        """How old it is."""
        return (now or dt.datetime.now(dt.UTC)) - self.taken_at


class BackupFolder:
    """One folder, which only its owner can read: backups hold everything that the shop knows."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def backups(self) -> list[Backup]:
        """All backups, the newest first."""
        found = [backup for file in self.path.glob(f"*{_ABOUT}") if (backup := _read(file)) is not None]
        return sorted(found, key=lambda backup: (backup.taken_at, backup.name), reverse=True)

    def find(self, name: str) -> Backup:
        """The backup of this name, or the newest one for `newest`. Raises `BackupError`."""
        wanted = Path(name).name.removesuffix(_ABOUT)
        for backup in self.backups():
            if wanted in (backup.name, backup.name.removesuffix(_ARCHIVE), "newest"):
                return backup
        which = "no backup" if name == "newest" else f"no backup {wanted!r}"
        raise BackupError(f"There is {which} in {self.path}")

    def archive(self, backup: Backup) -> Path:
        """The file of the backup."""
        return self.path / backup.name

    def require_sound(self, backup: Backup) -> Path:
        """The file of the backup, whose checksum is right. Raises `BackupError` when it is not."""
        path = self.archive(backup)
        try:
            is_sound = checksum(path) == backup.sha256
        except OSError as error:
            raise BackupError(f"The backup {path} cannot be read: {error.strerror}") from None
        if not is_sound:
            raise BackupError(f"The backup {path} is damaged: its SHA-256 is not that of {path.name}{_ABOUT}")
        return path

    def note(self, backup: Backup) -> Backup:
        """Write down what is known of the backup."""
        text = json.dumps(asdict(backup), indent=1, default=lambda value: value.isoformat())
        _write(self.path / f"{backup.name}{_ABOUT}", text)
        return backup

    def note_verified(self, backup: Backup) -> Backup:
        """Write down that the backup was found sound now."""
        return self.note(replace(backup, verified_at=_now()))

    @contextmanager
    def writing(self) -> Iterator[tuple[dt.datetime, Path]]:
        """A block that writes an archive: the time it is named after, and the file, which gets its name at the end.

        One process writes at a time; what an earlier one has left unfinished is removed. Raises `BackupError`.
        """
        lock = self._open()
        try:
            if not lock.acquire():
                raise BackupError(f"Another backup is being written into {self.path}: wait for its end")
            for abandoned in self.path.glob(f"*{_UNFINISHED}"):
                abandoned.unlink(missing_ok=True)
            now = _now()
            unfinished = self.path / f"shop-{now:%Y%m%dT%H%M%S}Z{_ARCHIVE}{_UNFINISHED}"
            if unfinished.with_suffix("").exists():
                # Two within a second.
                unfinished = unfinished.with_name(f"shop-{now:%Y%m%dT%H%M%S%f}Z{_ARCHIVE}{_UNFINISHED}")
            try:
                yield now, unfinished
                _sync(unfinished)
                unfinished.rename(unfinished.with_suffix(""))
                _sync(self.path)
            finally:
                unfinished.unlink(missing_ok=True)
        finally:
            lock.close()

    def prune(self, days: float) -> list[Backup]:
        """Remove the backups that are older than so many days, but never the newest one; those removed."""
        bound = _now() - dt.timedelta(days=days)
        old = [backup for backup in self.backups()[1:] if backup.taken_at < bound]
        for backup in old:
            # First what makes it a backup.
            (self.path / f"{backup.name}{_ABOUT}").unlink(missing_ok=True)
            self.archive(backup).unlink(missing_ok=True)
        return old

    def keep_beside(self, name: str, content: bytes) -> None:
        """Keep a small file beside the backups."""
        _write(self.path / name, content.decode())

    def _open(self) -> FileLock:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            return FileLock(self.path / _LOCK)
        except OSError as error:
            raise BackupError(
                f"BACKUP_DIR {self.path} cannot be used: {error.strerror}; set it to a folder that can be written"
            ) from None


def checksum(path: Path, stopping: Callable[[], bool] = lambda: False) -> str:
    """The SHA-256 of a file. Raises `BackupError` when `stopping()` says so."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            if stopping():
                raise BackupError("Stopped")
    return digest.hexdigest()


def _read(file: Path) -> Backup | None:
    """What the file says of a backup whose archive is there; None where it is another file."""
    try:
        known = json.loads(file.read_text())
        times = {name: dt.datetime.fromisoformat(known[name]) for name in ("taken_at", "verified_at") if known[name]}
        lists = {name: tuple(known[name]) for name in ("revisions", "history")}
        backup = Backup(**{**{field.name: known[field.name] for field in fields(Backup)}, **times, **lists})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return backup if file.with_suffix("").is_file() else None


def _write(path: Path, text: str) -> None:
    """Write a whole file, which only its owner can read, or leave the one that is there."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync(path.parent)
    finally:
        with suppress(FileNotFoundError):
            new.unlink()


def _sync(path: Path) -> None:
    """Have what was written, or renamed in the folder, survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
