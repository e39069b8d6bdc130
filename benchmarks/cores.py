"""CPU cores, CPU time and memory of processes, from Linux's /proc."""

import os
from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")


def pin(process: int, core: int) -> None:
    """Let all threads of `process` run on `core` only; new threads inherit that."""
    for thread in (_PROC / str(process) / "task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def cpu_seconds(processes: Iterable[int]) -> float:
    """The CPU time of the processes so far, in user mode and in the kernel."""
    return sum(map(_ticks, processes)) / os.sysconf("SC_CLK_TCK")


def _ticks(process: int) -> int:
    # The second field is the program's name in parentheses, which may hold spaces.
    fields = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def busy_and_total(cores: Iterable[int]) -> tuple[int, int]:
    """The busy ticks of these cores since the start of the machine, and all their ticks."""
    names = {f"cpu{core}" for core in cores}
    busy = total = 0
    for line in (_PROC / "stat").read_text().splitlines():
        name, *numbers = line.split()
        if name in names:
            ticks = [int(number) for number in numbers[:8]]
            total += sum(ticks)
            busy += sum(ticks) - ticks[3] - ticks[4]  # idle, and waiting for the disk
    return busy, total


def busy_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    """The busy share of the time between two results of `busy_and_total`."""
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def resident_megabytes(process: int) -> float:
    """The resident memory of the process (RSS), in units of 2**20 bytes."""
    pages = int((_PROC / str(process) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def proportional_megabytes(process: int) -> float:
    """The memory of the process with its share of the pages that others have too (PSS), in units of 2**20 bytes."""
    lines = (_PROC / str(process) / "smaps_rollup").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("Pss:"))
    return int(kilobytes) / 1024
