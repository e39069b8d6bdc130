"""The assembled application."""

import pytest

from application.assembly import assemble
from config.settings import read_settings
from infrastructure.observability.metrics import OTHER

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_metrics_have_a_name_for_each_route_below_the_prefix(prefix: str) -> None:
    app = assemble(read_settings({"API_PREFIX": prefix}))
    metrics = app.state.resources.metrics
    for path in ("/products/7", "/auth/login", "/auth/password/forgot", "/login", "/me", "/validate-token", "/metrics"):
        assert path.split("/")[1] in metrics.routes
    assert metrics.routes[-1] == OTHER
    assert not any("/" in name or "{" in name for name in metrics.routes)
