"""Which events make jobs of which tasks: the only place that says so."""

from collections.abc import Iterable, Mapping

# The name of a task -> types of events, with * for the rest of a name, such as "order.*". The job gets `event_id` and
# `sequence`. Every event makes one job of each task that has a fitting type.
SUBSCRIPTIONS: dict[str, tuple[str, ...]] = {}

# Tasks that read the events themselves: however many fitting ones are relayed at once, they make one job, which gets the
# sequences `after` and `until`, between which they are.
READERS: dict[str, tuple[str, ...]] = {
    "notify": ("order.created", "order.status_changed", "order.canceled", "order.returned", "stock.low"),
}


def patterns_of(subscriptions: Mapping[str, Iterable[str]]) -> tuple[list[str], list[str]]:
    """The regular expressions of SQL, and the tasks beside them: one for each task, so that an event makes one job of it."""
    pairs = [(_expression(types), task) for task, types in subscriptions.items()]
    return [pattern for pattern, _ in pairs], [task for _, task in pairs]


def _expression(types: Iterable[str]) -> str:
    return "^(" + "|".join(one.replace(".", r"\.").replace("*", ".*") for one in types) + ")$"
