"""Route templates: the paths of requests as the paths of routes, such as `/products/{id_key}`, which are few.

Metrics and logs name a request by its template. The path is compared, and no routing is done: the responses that are
remembered are sent without it.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

# All paths of no route are this one, so that clients cannot add names without bound.
OTHER = "other"

# Longer paths are found anew each time: what clients send must not fill the memory.
_REMEMBERED_LENGTH = 100

_NUMBER = re.compile(r"(?<=/)\d+(?=/|$)")
_PARAMETER = re.compile(r"\{[^}]*\}")


class RouteTemplates:
    """The templates of an application."""

    def __init__(self, templates: Sequence[str]) -> None:
        # Most parameters are keys of rows. What has others is compared one by one.
        self._by_shape = {_PARAMETER.sub("0", template): template for template in reversed(templates)}
        self._patterns = [
            (re.compile("[^/]+".join(map(re.escape, _PARAMETER.split(template)))), template)
            for template in templates
            if "{" in template
        ]
        self._known = lru_cache(maxsize=4096)(self._find)

    def of(self, path: str) -> str:
        """The template of the path, with or without a slash at its end; OTHER for one that no route has."""
        return self._known(path) if len(path) <= _REMEMBERED_LENGTH else self._find(path)

    def _find(self, path: str) -> str:
        template = self._by_shape.get(_NUMBER.sub("0", path))
        if template is not None:
            return template
        path = path.rstrip("/") or "/"
        template = self._by_shape.get(_NUMBER.sub("0", path))
        return template or next((template for pattern, template in self._patterns if pattern.fullmatch(path)), OTHER)
