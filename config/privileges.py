"""PostgreSQL refuses to run as root, so root starts it as somebody else.

As a script, `python privileges.py UID GID PROGRAM ARGUMENT…` becomes that user and then the program. Folders on
the way to the program or to its data may be closed to others (`/root` is). Instead of opening them, the program
keeps the one capability that lets it walk through, where the machine grants it.
"""

import ctypes
import os
import pwd
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# From linux/capability.h and linux/prctl.h.
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_SECBIT_KEEP_CAPS = 1 << 4
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2

_NOBODY = 65534


class Account(NamedTuple):
    """The user and group that a server runs as."""

    uid: int
    gid: int


def server_account(folder: Path) -> Account | None:
    """Who shall run the server whose data is in `folder`; None when that is the present user.

    For root it is the owner of existing data, else `nobody`.
    """
    if os.geteuid() != 0:
        return None
    if folder.exists() and folder.stat().st_uid != 0:
        return Account(folder.stat().st_uid, folder.stat().st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Account(_NOBODY, _NOBODY)
    return Account(nobody.pw_uid, nobody.pw_gid)


def run_as(account: Account | None, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` as `account`; None runs it as it is."""
    if account is None:
        return list(command)
    # Isolated and without site-packages, the interpreter starts in about 10 ms and imports nothing of ours.
    return [sys.executable, "-I", "-S", __file__, str(account.uid), str(account.gid), *command]


def become(account: Account) -> None:
    """Change this process to `account` for good, keeping only the right to pass closed folders, if it has it.

    Raises `OSError` when the machine does not let it change.
    """
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if libc is not None:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        # Without this access(), by which PostgreSQL looks for its own program, disregards the capability.
        libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP | _SECBIT_KEEP_CAPS, 0, 0, 0)
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if libc is not None:
        _keep_passage(libc)


def _keep_passage(libc: ctypes.CDLL) -> None:
    # Six words: effective, permitted and inheritable for capabilities 0 to 31, then the same for 32 to 63.
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    if libc.capget(header, sets) != 0:
        return
    permitted = sets[1]
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        bit = 1 << capability
        if permitted & bit:
            # Only what is permitted and inheritable may become ambient, which is what survives the exec.
            libc.capset(header, (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0))
            libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)
            return


def main() -> None:
    uid, gid, *command = sys.argv[1:]
    try:
        become(Account(int(uid), int(gid)))
        os.execv(command[0], command)  # noqa: S606 (no shell is wanted)
    except OSError as error:
        sys.exit(
            f"FATAL:  cannot run {command[0]} as user {uid} instead of root ({error.strerror}): "
            "start the shop as an ordinary user"
        )


if __name__ == "__main__":
    main()
