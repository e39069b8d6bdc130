"""What coverage traces. Tracing doubles what Python code costs, so it is kept to the threads that run the shop.

Only this process is traced, not those that tests start: a shop in a thread runs the same code as a worker process.
Nor are tests traced that run for long through what quicker ones have run through: floods, faults, migrations.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coverage import Coverage


@contextmanager
def untraced() -> Iterator[None]:
    """Within it, this thread is not traced; threads that it starts are."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


@contextmanager
def nothing_traced() -> Iterator[None]:
    """Within it, neither this thread is traced nor those that it starts."""
    of_threads = threading.gettrace()
    threading.settrace(None)
    try:
        with untraced():
            yield
    finally:
        threading.settrace(of_threads)


def tracing_of_children() -> dict[str, str]:
    """The environment in which coverage traces child processes too; none when it does not trace this one."""
    current = Coverage.current()
    if current is None:
        return {}
    data_file = Path(str(current.get_option("run:data_file")))
    return {"COVERAGE_PROCESS_START": str(current.config.config_file), "COVERAGE_FILE": str(data_file.absolute())}
