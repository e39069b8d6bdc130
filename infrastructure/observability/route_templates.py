"""Route templates: the paths of requests as the paths of routes, such as `/products/{id_key}`, which are few.

Metrics and logs name a request by its template. The path is compared, and no routing is done: the responses that are
remembered are sent without it.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

# All paths of no route are this one, so that clients cannot add names without bound.
OTHER = "other"

_NUMBER = re.compile(r"(?<=/)\d+(?=/|$)")
_PARAMETER = re.compile(r"\{[^}]*\}")


class RouteTemplates:
    """The templates of an application."""

    def __init__(self, templates: Sequence[str]) -> None:
        # Most parameters are keys of rows. What has others is compared one by one, once for each of the last paths.
        self._by_shape = {_PARAMETER.sub("0", template): template for template in reversed(templates)}
        self._patterns = [
            (re.compile("[^/]+".join(map(re.escape, _PARAMETER.split(template)))), template)
            for template in templates
            if "{" in template
        ]
        self._compared = lru_cache(maxsize=1024)(self._compare)

    def of(self, path: str) -> str:
        """The template of the path, with or without a slash at its end; OTHER for one that no route has."""
        shape = _NUMBER.sub("0", path)
        return self._by_shape.get(shape) or self._compared(path)

    def _compare(self, path: str) -> str:
        path = path.rstrip("/") or "/"
        shape = _NUMBER.sub("0", path)
        if shape in self._by_shape:
            return self._by_shape[shape]
        return next((template for pattern, template in self._patterns if pattern.fullmatch(path)), OTHER)
