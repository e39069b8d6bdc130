"""What deploy/observability asks Prometheus for."""

import json
import re
from pathlib import Path
from typing import NamedTuple

from config.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "deploy" / "observability"
RULES = FOLDER / "rules" / "shop.yaml"
DASHBOARDS = sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))

# What exporters beside the shop tell, and what a shop counts where something goes wrong only.
OF_OTHERS = re.compile(r"\b(pg|redis|node|probe)_|shop_connections_closed_total")


class Question(NamedTuple):
    """A query of a panel of a dashboard."""

    dashboard: str
    panel: str
    query: str

    @property
    def is_of_the_shop(self) -> bool:
        return OF_OTHERS.search(self.query) is None


def panels(dashboard: Path) -> list[dict[str, object]]:
    return list(json.loads(dashboard.read_text())["panels"])


def questions() -> list[Question]:
    """All queries of all panels."""
    return [
        Question(dashboard.stem, panel["title"], target["expr"])
        for dashboard in DASHBOARDS
        for panel in json.loads(dashboard.read_text())["panels"]
        for target in panel["targets"]
    ]
