"""What is said of a database that goes away and comes back: little, and each time when it changes."""

import logging

import pytest

from infrastructure.database import availability as presence_module
from infrastructure.database.availability import Availability

pytestmark = pytest.mark.unit

URL = "postgresql://u:secret@db.example/shop"


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "shop.database"]


def test_each_change_is_one_line(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_module, "_QUIET_SECONDS", 0)
    availability = Availability(URL)
    with caplog.at_level(logging.INFO, logger="shop.database"):
        availability.found_there()
        for _ in range(5):
            availability.found_away(OSError("refused\nand more"))
        for _ in range(5):
            availability.found_there()
        availability.found_away("")
    (first, away), (second, back), (third, again) = lines(caplog)
    assert (first, away) == ("ERROR", "The database is away (shop on db.example:5432, as u): refused")
    assert second == "INFO"
    assert back.startswith("The database is back after 0.")
    assert (third, again) == ("ERROR", "The database is away (shop on db.example:5432, as u): no answer")
    assert "secret" not in caplog.text


def test_one_that_serves_some_and_refuses_others_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    availability = Availability(URL)
    with caplog.at_level(logging.INFO, logger="shop.database"):
        for _ in range(1000):
            availability.found_away("too many clients")
            availability.found_there()
    assert len(lines(caplog)) == 2
