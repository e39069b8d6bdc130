"""Names of requests: few, whatever the clients send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.observability.route_templates import OTHER, RouteTemplates

pytestmark = pytest.mark.unit

TEMPLATES = (
    "/",
    "/products",
    "/products/{id_key}",
    "/products/bulk",
    "/products/{id_key}/stock",
    "/schedules/{name}/run",
)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", "/"),
        ("/products", "/products"),
        ("/products/", "/products"),
        ("/products/7", "/products/{id_key}"),
        ("/products/9223372036854775808", "/products/{id_key}"),
        ("/products/seven", "/products/{id_key}"),
        ("/products/-1", "/products/{id_key}"),
        ("/products/bulk", "/products/bulk"),
        ("/products/7/stock/", "/products/{id_key}/stock"),
        ("/schedules/nightly/run", "/schedules/{name}/run"),
        ("/schedules/7/run", "/schedules/{name}/run"),
        ("/products/7/stock/8", OTHER),
        ("/Products", OTHER),
        ("//products", OTHER),
        ("", "/"),
        ("*", OTHER),
    ],
)
def test_a_path_has_the_template_of_its_route(path: str, template: str) -> None:
    assert RouteTemplates(TEMPLATES).of(path) == template


@given(st.text(alphabet="/products0123.\n{}*é", max_size=40))
def test_no_path_makes_another_name(path: str) -> None:
    assert RouteTemplates(TEMPLATES).of(path) in {*TEMPLATES, OTHER}
