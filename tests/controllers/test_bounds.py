"""What a worker remembers has a bound in bytes: every cache of the code, filled with the largest that may come.

A cache that is new has to be named here. What a whole worker takes is in tests/faults/test_memory_bound.py.
"""

import functools
import gc
import importlib
import ipaddress
import itertools
import pkgutil
import random
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

import application
import config
import controllers
import infrastructure
import middleware
import models
import repositories
import schemas
import services
from config.settings import read_settings
from controllers.request_body import _is_json
from infrastructure.database.engine import Database
from infrastructure.observability.access_log import _safe_path
from infrastructure.observability.route_templates import RouteTemplates
from infrastructure.server.connection_counts import ConnectionCounts
from infrastructure.server.ip_addresses import belongs_to, counted_as, parse_address
from infrastructure.server.request_heads import RequestHeads, memoize_on_headers
from middleware.compression import coding_for
from middleware.conditional_response import client_has
from middleware.http_rules import is_host
from middleware.route_cache import RouteCache, register
from repositories.product import ProductRepository
from repositories.query import statement_cache
from repositories.query.bound_query import _prepared
from repositories.query.counts import COUNTED_TO, Count, CountedLists, Size
from repositories.query.list_shape import ListShape, decisive
from repositories.query.lists import page_statement, size_statement
from schemas.field_types import _is_domain
from schemas.product import ProductRead
from tests.middleware.asgi import scope_of
from tests.tracing import untraced

pytestmark = pytest.mark.unit

PACKAGES = (application, config, controllers, infrastructure, middleware, models, repositories, schemas, services)
MEBIBYTE = 1024 * 1024
# As much as the head of a request may have.
LONG = "x" * 60_000
ANY = (ipaddress.ip_network("0.0.0.0/0"),)

COUNTS: ConnectionCounts = ConnectionCounts()
TEMPLATES = RouteTemplates(("/products/{id_key}",))
# What the shop itself calls with few values that no request decides, by module and name.
OF_THE_SHOP = {
    "config.release._checked_out",
    "infrastructure.backup.programs._installed",
    "config.settings.get_settings",
    "infrastructure.database.host_order.host_order",
    "infrastructure.database.migrations._revisions",
    "controllers.routing._empty_query",
    "schemas.base._array_parameters",
    "infrastructure.observability.log_lines._second",
    "middleware.cache_control.about_caches",
    "jobs.tasks.send_notifications._sender",
}
# What requests decide: a call with the number of a hostile value, and the bytes that all of them may take.
OF_REQUESTS: dict[str, tuple[Callable[[int], object], int]] = {
    "infrastructure.observability.access_log._safe_path": (
        lambda n: _safe_path(f"/{n}".ljust(1024, "é")),
        8 * MEBIBYTE,
    ),
    "infrastructure.observability.route_templates.RouteTemplates._find": (
        lambda n: TEMPLATES.of(f"/{n}".ljust(100, "é")),
        2 * MEBIBYTE,
    ),
    "infrastructure.server.connection_counts.ConnectionCounts._cells_of": (
        lambda n: COUNTS.add(f"2001:db8::{n:x}%{n}"),
        MEBIBYTE,
    ),
    "infrastructure.server.ip_addresses.parse_address": (lambda n: parse_address(f"{n}".ljust(64, "1")), 2 * MEBIBYTE),
    "infrastructure.server.ip_addresses.belongs_to": (lambda n: belongs_to(f"2001:db8::{n:x}", ANY), 2 * MEBIBYTE),
    "infrastructure.server.ip_addresses.counted_as": (lambda n: counted_as(f"2001:db8:{n:x}::1"), 2 * MEBIBYTE),
    "controllers.request_body._is_json": (lambda n: _is_json(f"a/{n}{LONG}"), MEBIBYTE),
    "middleware.http_rules.is_host": (lambda n: is_host(b"%d" % n + LONG.encode()), MEBIBYTE),
    "schemas.field_types._is_domain": (lambda n: _is_domain(f"{n}.".ljust(250, "a")), MEBIBYTE),
}


@contextmanager
def growth() -> Iterator[Callable[[], int]]:
    """By how many bytes what is held has grown so far."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()

        def grown() -> int:
            gc.collect()
            return tracemalloc.get_traced_memory()[0] - before

        with untraced():
            yield grown
    finally:
        tracemalloc.stop()


def caches_of_functions() -> dict[str, Any]:
    """All caches that `functools` made for the shop's own code, by module and name."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    names = tuple(f"{package.__name__}." for package in PACKAGES)
    return {
        f"{it.__module__}.{it.__qualname__}": it
        for it in gc.get_objects()
        if isinstance(it, functools._lru_cache_wrapper) and str(getattr(it, "__module__", "")).startswith(names)
    }


def test_every_cache_of_a_function_is_known() -> None:
    assert caches_of_functions().keys() <= OF_THE_SHOP | OF_REQUESTS.keys()


def most_of(name: str) -> int:
    """How many values the cache remembers."""
    cache: Any = COUNTS._cells if name.endswith("_cells_of") else caches_of_functions()[name]
    return int(cache.cache_info().maxsize)


@pytest.mark.chaos
@pytest.mark.parametrize("name", OF_REQUESTS)
def test_a_cache_of_a_function_stays_within_its_bound(name: str) -> None:
    call, most = OF_REQUESTS[name]
    # What it needs is loaded once; to look for the cache, all modules are.
    call(0)
    number_of_values = most_of(name)
    with growth() as grown:
        for number in range(number_of_values + 200):
            call(number)
        assert grown() < most


def hostile_blocks() -> Iterator[list[tuple[bytes, bytes]]]:
    """Headers of many kinds, each different from all before, which fill the longest block that is remembered."""
    for number in itertools.count():
        mark = b"%d" % number
        yield [(b"host", b"a"), *((b"%d" % place, b"") for place in range(400)), (b"n", mark)]
        yield [(b"if-none-match", b",".join(b'"%d"' % (number + place) for place in range(200)))]
        yield [(b"accept-encoding", b",".join(b"a%d" % (number + place) for place in range(200)))]
        yield [(b"host", b"a"), (b"user-agent", mark.rjust(1900, b"x"))]


@pytest.mark.chaos
def test_heads_stay_within_their_bound() -> None:
    heads = RequestHeads(learn_every=1)
    with growth() as grown:
        for number, headers in enumerate(itertools.islice(hostile_blocks(), 2500)):
            block = b"".join(b"%b:%b\r\n" % header for header in headers)
            path = f"/{number}".ljust(500, "é")
            line = b"GET /%d?%b HTTP/1.1" % (number, b"x" * 550)
            data = line + b"\r\n" + block + b"\r\n"
            heads.learn(data, scope_of(path=path, query_string=b"x" * 550, headers=headers))
            known = heads.find(data)
            if known is not None:
                client_has('"a"', known)
                memoize_on_headers(known, len)
                coding_for(known)
        assert grown() < 10 * MEBIBYTE


@pytest.mark.chaos
def test_targets_stay_within_their_bound() -> None:
    known = RouteCache()
    with growth() as grown:
        for number in range(4000):
            scope = scope_of(path=f"/{number}", query_string=b"q=%d" % number + b"x" * 490, headers=[(b"host", b"a")])
            known.find(scope)
            register(scope, bytearray(6000))  # type: ignore[arg-type]  # as large as a read
        assert grown() < 28 * MEBIBYTE


@pytest.mark.chaos
def test_sizes_of_lists_stay_within_their_bound() -> None:
    lists = CountedLists()
    with growth() as grown:
        for number in range(4000):
            key = lists.key(ENGINE, "products", {"q": f"{number}".ljust(320, "\N{GRINNING FACE}"), "price": number})
            lists.keep(key, Count(COUNTED_TO, 1, f"{number}" * 10), Size(COUNTED_TO, estimated=True))
        assert grown() < 3 * MEBIBYTE


ENGINE: Engine = create_engine("postgresql+psycopg2://")


def hostile_shapes(count: int) -> Iterator[ListShape]:
    """Lists of products by ever other columns, filters and orders, as large as they come."""
    dice = random.Random(1)
    columns, filters = ProductRepository.sortable(), sorted(ProductRepository.filters)
    fields = tuple(ProductRead.model_fields)
    for _ in range(count):
        sort = [(name, dice.random() < 0.5) for name in dice.choices(columns, k=25)]
        chosen = tuple(sorted(dice.sample(filters, dice.randint(len(filters) - 3, len(filters)))))
        shown = ("id_key", *dice.sample(fields[1:], len(fields) - 3))
        yield ListShape(shown, chosen, decisive(tuple(sort)))


@pytest.mark.chaos
def test_statements_stay_within_their_bound() -> None:
    with growth() as grown:
        for shape in hostile_shapes(120):
            _prepared(page_statement(ProductRepository, shape, True))
            size_statement(ProductRepository, shape.filters)
        assert grown() < 16 * MEBIBYTE
    assert len(statement_cache._statements) <= 256


@pytest.mark.chaos
def test_compiled_statements_stay_within_their_bound() -> None:
    engine: Any = Database("postgresql+psycopg2://", read_settings({})).engine
    with growth() as grown:
        for shape in hostile_shapes(200):
            statement: Any = page_statement(ProductRepository, shape, True)
            statement._compile_w_cache(engine.dialect, compiled_cache=engine._compiled_cache, column_keys=[])
        assert grown() < 27 * MEBIBYTE + 16 * MEBIBYTE
    assert len(engine._compiled_cache) <= 180
