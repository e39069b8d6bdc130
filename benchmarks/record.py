"""Saves the figures of a benchmark's last run in `benchmarks/results/`."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_RESULTS = Path(__file__).parent / "results"


def save(name: str, options: Mapping[str, Any], figures: Any) -> None:
    """Write NAME.json; `options` are those of the benchmark's command line."""
    _RESULTS.mkdir(exist_ok=True)
    record = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "options": dict(options), "figures": figures}
    (_RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2, default=str) + "\n")
