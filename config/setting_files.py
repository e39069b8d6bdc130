"""Settings out of files: `POSTGRES_PASSWORD_FILE=/run/secrets/password` in place of `POSTGRES_PASSWORD`, for each of them.

Orchestrators hand over secrets as files, which neither the environment of a process nor its children show.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

SUFFIX = "_FILE"
# No setting is longer, and a device never ends.
_LONGEST_BYTES = 64 * 1024


class UnusableFile(ValueError):
    """A file of a setting cannot be taken; the message is one line with the variable and the remedy."""


def with_files_read(variables: Mapping[str, str], names: Iterable[str], folder: Path) -> dict[str, str]:
    """The variables, with the content of its file for each of `names` that is given as a file.

    Relative paths are below `folder`. Line ends at the end of a file do not count, and an empty file is an empty value.
    Raises `UnusableFile` for a file that cannot be read, and where the value stands beside it.
    """
    read = dict(variables)
    for name in names:
        file = variables.get(name + SUFFIX, "").strip()
        if not file:
            continue
        if variables.get(name, "").strip():
            raise UnusableFile(f"{name} and {name}{SUFFIX} are both set: leave one of them out")
        read[name] = _content(name + SUFFIX, folder / file)
    return read


def _content(variable: str, file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(_LONGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnusableFile(f"{variable} names {file}, which cannot be read: {reason}") from None
    if len(content) > _LONGEST_BYTES:
        raise UnusableFile(
            f"{variable} names {file}, which is longer than a setting is: {_LONGEST_BYTES} bytes at most"
        )
    # What is no UTF-8 is kept, as in the environment: a path may be any bytes.
    return content.decode("utf-8", "surrogateescape").rstrip("\r\n")
