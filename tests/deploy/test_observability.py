"""Rules and dashboards speak of metrics that the shop has."""

import re
from pathlib import Path

import pytest

from infrastructure.observability.exposition import Facts, exposition
from infrastructure.observability.metric_families import COUNTERS, GAUGES, HISTOGRAMS
from infrastructure.observability.metrics import Metrics
from tests.deploy.observability import DASHBOARDS, RULES, panels, questions

pytestmark = pytest.mark.unit

_NAME = re.compile(r"\b(?:shop|http)_[a-z_]+\b")
_HISTOGRAM = re.compile(r"_(?:bucket|sum|count)$")


def families() -> set[str]:
    """The names of all families that a scrape has, without the ends of counters and histograms."""
    figures = dict.fromkeys(("queued", "running", "failed", "oldest_seconds", "events_not_relayed"), 0.0)
    text = exposition(Metrics(), Facts("1", queue=figures)).decode()
    return set(re.findall(r"^# TYPE (\S+) ", text, re.M)) | {f.name for f in (*COUNTERS, *GAUGES, *HISTOGRAMS)}


def unknown(text: str) -> set[str]:
    """The names of the shop's metrics in it that a scrape does not have."""
    names = set(_NAME.findall(text))
    return {name for name in names if not {name, _HISTOGRAM.sub("", name)} & families()}


def test_every_query_is_of_metrics_that_there_are() -> None:
    assert unknown("shop_nothing_total > 0") == {"shop_nothing_total"}
    assert unknown(RULES.read_text()) == set()
    assert {question for question in questions() if unknown(question.query)} == set()


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_no_panel_lies_over_another(dashboard: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels(dashboard):
        place = panel["gridPos"]
        assert isinstance(place, dict)
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells
