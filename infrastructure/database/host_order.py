"""Last known good host: where a URL names several hosts, the one that was reached last is tried first.

libpq tries them in the order of the URL, and waits for each that says nothing. After a failover that would be seconds
for every new connection.
"""

import functools
from collections.abc import Mapping

from infrastructure.database.database_url import target_of

_DEFAULT_PORT = "5432"


class HostOrder:
    """The hosts of one database. For every thread."""

    def __init__(self, options: Mapping[str, str]) -> None:
        given = {name: options[name].split(",") for name in ("host", "hostaddr", "port") if name in options}
        self._number = max(map(len, given.values()), default=1)
        # One port is that of all hosts.
        self._lists = {name: values * self._number if len(values) == 1 else values for name, values in given.items()}
        self._good: int | None = None

    @property
    def has_several(self) -> bool:
        return self._number > 1

    def options(self) -> dict[str, str]:
        """What libpq takes for the order in which it tries them; nothing where there is one host."""
        good = self._good
        if good is None:
            return {}
        order = [good, *(place for place in range(self._number) if place != good)]
        return {name: ",".join(values[place] for place in order) for name, values in self._lists.items()}

    def note_reached(self, host: str, port: int | str) -> None:
        """Try this one first from now on. `host` is its name, or its address where it has none."""
        if not self.has_several:
            return
        for place in range(self._number):
            named = {self._at("host", place), self._at("hostaddr", place)}
            if host in named and str(port) == (self._at("port", place) or _DEFAULT_PORT):
                self._good = place
                return

    def forget(self) -> None:
        """Try them in the order of the URL: the one that was reached last is not what it was."""
        self._good = None

    def _at(self, name: str, place: int) -> str | None:
        return self._lists[name][place] if name in self._lists else None


@functools.lru_cache(maxsize=16)
def host_order(url: str) -> HostOrder:
    """The one of this process for the database at `url`."""
    return HostOrder(target_of(url).options)
