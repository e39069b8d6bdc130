"""Privileges of the embedded servers: they never run as root. Root starts each of them as a user of its own.

As a script, `python privileges.py UID GID FOLDER PROGRAM ARGUMENT…` enters the folder, becomes that user for good and
runs the program. A process may use the folder that it has entered, even where folders above are closed (`/root` is).
"""

import ctypes
import grp
import hashlib
import os
import pwd
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

# From linux/capability.h and linux/prctl.h.
_CAPABILITY_VERSION_3 = 0x20080522
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_NOBODY = 65534
# A range of unused ids: above those of people, which are given from 1000 up, and below those reserved by systems.
_FIRST_UNUSED, _UNUSED = 40_000, 20_000
_FIRST_PERSON = 1000


class Account(NamedTuple):
    """The user and group that a server runs as."""

    uid: int
    gid: int


def server_account(folder: Path) -> Account | None:
    """The account for the server with its data in `folder`; None for the current user.

    For root it is the owner of existing data, unless that is root or the shared `nobody`; else an unused id without a
    name. The id is computed from the folder, so that servers of several folders have different users.
    """
    if os.geteuid() != 0:
        return None
    if folder.exists():
        owner = folder.stat()
        if owner.st_uid not in (0, nobody().uid):
            return Account(owner.st_uid, owner.st_gid)
    first = int.from_bytes(hashlib.sha256(os.fsencode(folder)).digest()[:8], "big")
    used = set(running_users())
    for step in range(_UNUSED):
        uid = _FIRST_UNUSED + (first + step) % _UNUSED
        if uid not in used and _exists_here(uid) and not _has_name(uid):
            return Account(uid, uid)
    return nobody()


def named_account() -> Account | None:
    """A system account with a name, for work of a moment that needs one; preferably one without running processes."""
    used = set(running_users())
    system = [entry for entry in pwd.getpwall() if 0 < entry.pw_uid < _FIRST_PERSON and _exists_here(entry.pw_uid)]
    for entry in sorted(system, key=lambda entry: (entry.pw_uid in used, -entry.pw_uid)):
        return Account(entry.pw_uid, entry.pw_gid)
    return nobody() if _has_name(nobody().uid) else None


def nobody() -> Account:
    """The shared account for programs that need no rights."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return Account(_NOBODY, _NOBODY)
    return Account(entry.pw_uid, entry.pw_gid)


def running_users() -> Iterator[int]:
    """The users with running processes, as far as the system shows them."""
    with suppress(OSError):
        for process in os.scandir("/proc"):
            if process.name.isdigit():
                with suppress(OSError):  # It has ended.
                    yield process.stat().st_uid


def run_as(account: Account | None, folder: Path, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` as `account` in `folder`; without an account it is `command` itself."""
    if account is None:
        return list(command)
    # Isolated and without site-packages, the interpreter starts in about 10 ms and imports nothing of the shop.
    return [sys.executable, "-I", "-S", __file__, str(account.uid), str(account.gid), str(folder), *command]


def drop_privileges_to(account: Account) -> None:
    """Change this process to `account` for good, with the rights of that user only, and no way to get others.

    Raises `OSError` when the machine does not allow it.
    """
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
        # Six words: effective, permitted and inheritable for capabilities 0 to 31, then the same for 32 to 63.
        libc.capset((ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)())
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _has_name(uid: int) -> bool:
    for known in (pwd.getpwuid, grp.getgrgid):
        with suppress(KeyError):
            known(uid)
            return True
    return False


def _exists_here(uid: int) -> bool:
    """Whether this machine has such a user: a container may have only some ids."""
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
    except OSError:
        return True
    ranges = [(int(first), int(count)) for first, _, count in (line.split() for line in lines)]
    return any(first <= uid < first + count for first, count in ranges)


def main() -> None:
    uid, gid, folder, *command = sys.argv[1:]
    try:
        os.chdir(folder)
        drop_privileges_to(Account(int(uid), int(gid)))
        os.execv(command[0], command)  # noqa: S606 (no shell is wanted)
    except OSError as error:
        sys.exit(
            f"FATAL:  cannot run {command[0]} as user {uid} instead of root ({error.strerror}): "
            "start the shop as an ordinary user"
        )


if __name__ == "__main__":
    main()
