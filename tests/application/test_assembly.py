"""The assembled application."""

import pytest
from starlette.routing import Route

from application.assembly import Shop, assemble
from config.settings import read_settings
from infrastructure.observability.route_templates import OTHER
from middleware.request_context import RequestContext

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_every_route_has_a_template(prefix: str) -> None:
    app = assemble(read_settings({"API_PREFIX": prefix}))
    assert isinstance(app, Shop)
    assert isinstance(app.layers, RequestContext)
    templates = app.layers.routes
    for route in app.router.routes:
        assert isinstance(route, Route)
        assert templates.of(route.path_format.replace("{id_key}", "7")) == route.path_format
    assert templates.of(f"{prefix}/products/7/") == f"{prefix}/products/{{id_key}}"
    assert templates.of("/elsewhere") == OTHER
