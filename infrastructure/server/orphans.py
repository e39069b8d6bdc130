"""Orphans: as the first process of a container, the launcher inherits processes whose parents have ended."""

import os
from collections.abc import Collection


def reap_orphans(own: Collection[int]) -> None:
    """Let processes that have ended disappear, except for those in `own`, whose exit codes somebody waits for."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        # What is behind one of `own` has its turn when that one was waited for.
        if ended is None or ended.si_pid in own:
            return
        os.waitpid(ended.si_pid, os.WNOHANG)
