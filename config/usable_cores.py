"""How many cores this process may use: its affinity, and the quota of its control groups, as containers have one."""

import math
import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_cores(groups: Path = _GROUPS, own: Path = _OWN) -> int:
    """The cores that are there for this process, at least one. A part of a core counts as a whole one."""
    # Not every system shows the cores that a process may use.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _quota(groups, own))))


def _quota(groups: Path, own: Path) -> float:
    """The lowest quota of the groups that this process is in, in cores; infinite without one."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return math.inf
    quotas = [math.inf]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        version_2 = not controllers
        if not version_2 and "cpu" not in controllers.split(","):
            continue
        root = groups if version_2 else groups / controllers
        folder = root / path.lstrip("/")
        # Inside of a container the path may be that of the outside; then only the root is there.
        for group in (folder, *folder.parents):
            quotas.append(_quota_of_version_2(group) if version_2 else _quota_of_version_1(group))
            if group == root:
                break
    return min(quotas)


def _quota_of_version_2(group: Path) -> float:
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _quota_of_version_1(group: Path) -> float:
    try:
        quota = int((group / "cpu.cfs_quota_us").read_text())
        return math.inf if quota <= 0 else quota / int((group / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
