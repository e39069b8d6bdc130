"""The compose files, read as Compose reads them: with their anchors, merged, and with variables replaced."""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from config.settings import PROJECT_ROOT

DEVELOPMENT = PROJECT_ROOT / "docker-compose.yaml"
PRODUCTION = PROJECT_ROOT / "docker-compose.production.yaml"


def loaded(file: Path, **variables: str) -> dict[str, Any]:
    """The file with `variables`; those that are not given have the default that the file names."""

    def value(match: re.Match[str]) -> str:
        return match[0] if match[1] is None else variables.get(match[1], match[2] or "")

    text = re.sub(r"\$\$|\$\{(\w+)(?::-([^}]*))?\}", value, file.read_text()).replace("$$", "$")
    read: dict[str, Any] = YAML(typ="safe").load(text)
    return read


def services(file: Path, **variables: str) -> dict[str, Any]:
    found: dict[str, Any] = loaded(file, **variables)["services"]
    return found
