"""Takes away the guards of cells that a spreadsheet would run, which `repositories.csv.export` puts there."""

import re
from collections.abc import Sequence

from repositories.csv.export import GUARDED

_GUARD = "'"
_GUARDED = re.compile(GUARDED)


def without_guards(texts: Sequence[str]) -> Sequence[str]:
    """The texts without the apostrophe before a sign such as `=`, if there is one."""
    # Hardly any file has one, and this is quicker than to look at each text.
    if _GUARD not in "".join(texts):
        return texts
    return [text[1:] if text.startswith(_GUARD) and _GUARDED.match(text) else text for text in texts]
