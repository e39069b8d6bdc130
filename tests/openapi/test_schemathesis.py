"""The whole document against a running shop: schemathesis sends what it allows, and what it forbids."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from hypothesis import settings

from config.settings import PROJECT_ROOT
from tests.builders import a_review, an_address, an_order_detail
from tests.identity.accounts import LoggedIn

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
THOROUGH = settings.get_current_profile_name() == "thorough"


@pytest.mark.timeout(3000 if THOROUGH else 300)
@pytest.mark.parametrize(
    "phases",
    [
        # What the document allows and forbids, drawn at random; the other phases try every limit and every link.
        pytest.param("fuzzing", id="drawn"),
        pytest.param("examples,coverage,fuzzing,stateful", id="every phase", marks=pytest.mark.chaos),
    ],
)
def test_answers_are_as_documented(own_shop: str, tmp_path: Path, phases: str) -> None:
    with httpx.Client(base_url=own_shop) as http:
        # So that the low keys that are asked for exist: five rows of every kind.
        for builder in (an_order_detail, an_address, a_review):
            for _ in range(5):
                builder(http)
        token = LoggedIn.new(http, "").tokens["access_token"]
    finished = subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--config-file",
            CONFIGURATION,
            "--no-color",
            "run",
            f"--phases={phases}",
            *(["--max-examples", "100"] if THOROUGH else []),
            f"{own_shop}/openapi.json",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "SHOP_TEST_TOKEN": token},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
