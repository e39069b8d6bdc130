"""Which host of several is tried first."""

import pytest

from infrastructure.database.connection_options import connection_options
from infrastructure.database.database_url import target_of
from infrastructure.database.host_order import HostOrder

pytestmark = pytest.mark.unit

THREE = {"host": "a,b,c", "port": "1,2,3"}


def test_the_order_of_the_url_until_one_was_reached() -> None:
    order = HostOrder(THREE)
    assert (order.has_several, order.options()) == (True, {})
    order.note_reached("b", 2)
    assert order.options() == {"host": "b,a,c", "port": "2,1,3"}
    order.note_reached("c", "3")
    assert order.options() == {"host": "c,a,b", "port": "3,1,2"}
    order.forget()
    assert order.options() == {}


def test_one_that_is_not_known_changes_nothing() -> None:
    order = HostOrder(THREE)
    order.note_reached("b", 1)
    assert order.options() == {}


@pytest.mark.parametrize(
    ("options", "reached", "first"),
    [
        ({"host": "a,b"}, ("b", 5432), {"host": "b,a"}),
        ({"host": "a,b", "port": "7"}, ("b", 7), {"host": "b,a", "port": "7,7"}),
        ({"host": "a,b", "port": "7,"}, ("b", 5432), {"host": "b,a", "port": ",7"}),
        ({"host": "a,b", "hostaddr": "::1,::2"}, ("b", 5432), {"host": "b,a", "hostaddr": "::2,::1"}),
        ({"hostaddr": "::1,::2"}, ("::2", 5432), {"hostaddr": "::2,::1"}),
        ({"host": "/run/a,/run/b"}, ("/run/b", 5432), {"host": "/run/b,/run/a"}),
        ({"host": "a", "port": "7"}, ("a", 7), {}),
        ({}, ("/run", 5432), {}),
    ],
)
def test_however_they_are_given(options: dict[str, str], reached: tuple[str, int], first: dict[str, str]) -> None:
    order = HostOrder(options)
    order.note_reached(*reached)
    assert order.options() == first


def test_of_several_it_is_one_that_takes_writes_if_the_url_does_not_say_otherwise() -> None:
    several = "postgresql+psycopg2://shop@/shop?host=a:1&host=b:2"
    assert connection_options(several, "shop")["target_session_attrs"] == "read-write"
    assert "target_session_attrs" not in connection_options(f"{several}&target_session_attrs=any", "shop")
    assert "target_session_attrs" not in connection_options("postgresql+psycopg2://shop@a/shop", "shop")
    asked = target_of(several, {"PGTARGETSESSIONATTRS": "any"}).options
    assert asked["target_session_attrs"] == "any"
