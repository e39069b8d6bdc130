"""The secret that a shop keeps for itself in its data folder, where nobody has set SECRET_KEYS."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

_BYTES = 32
_FILE = "secret_key"


def kept_secret(folder: Path) -> str:
    """The secret in the file of this folder, which is made at the first call. Raises `OSError` where it cannot be."""
    path = folder / _FILE
    with suppress(FileNotFoundError):
        return _read(path)
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / f".{_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A whole file under its name, or none. If another process was first, its secret counts.
        with suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink()
    return _read(path)


def _read(path: Path) -> str:
    secret = path.read_bytes().strip()
    if len(secret) < _BYTES or not secret.isascii():
        raise OSError(0, "it holds no secret of 32 characters or more", str(path))
    return secret.decode()
