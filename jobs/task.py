"""Tasks: what the background process can do, each a function in a module of its own in `jobs.tasks`.

docs/adding-a-task.md tells how to write one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import iscoroutinefunction
from pkgutil import iter_modules
from typing import Any

from croniter import croniter

DEFAULT_TRIES = 8
# A schedule that is in the database only, where an operator has set one.
BY_OPERATOR = "by operator"


@dataclass(frozen=True, slots=True)
class Task:
    """A task: its function, and when and how often it is tried.

    `schedule` is a cron expression in UTC, or `BY_OPERATOR`; None for a task that is only started by events or requests. After `tries`
    failures a job is dead.
    """

    name: str
    function: Callable[..., Any]
    schedule: str | None
    tries: int

    @property
    def is_async(self) -> bool:
        """Whether it is a coroutine, which opens transactions by itself."""
        return iscoroutinefunction(self.function)


# The tasks that are declared, by name.
TASKS: dict[str, Task] = {}


def task(
    *, schedule: str | None = None, tries: int = DEFAULT_TRIES
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the function as a task with the function's name. Raises `ValueError` for what is no schedule, or a name that is taken."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__
        if schedule not in (None, BY_OPERATOR) and not croniter.is_valid(schedule):
            raise ValueError(f"The schedule of {name} is no cron expression: {schedule}")
        if name in TASKS and TASKS[name].function.__module__ != function.__module__:
            raise ValueError(f"There are two tasks with the name {name}")
        TASKS[name] = Task(name, function, schedule, tries)
        return function

    return declare


def load_tasks() -> None:
    """Import every module of `jobs.tasks`, so that its task is declared."""
    package = import_module("jobs.tasks")
    for module in iter_modules(package.__path__):
        import_module(f"jobs.tasks.{module.name}")
