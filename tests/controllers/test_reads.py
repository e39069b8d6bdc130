"""What a read of a page keeps, and for how long."""

import asyncio
from dataclasses import dataclass
from weakref import ref

import pytest

from controllers.reads import CachedPage
from infrastructure.cache.rendered_response import RenderedResponse

pytestmark = pytest.mark.unit


@dataclass
class Part:
    """A part of the page, which the cache remembers until `remembered` is something else."""

    remembered: RenderedResponse | None

    async def get_or_load(self, current: None = None) -> tuple[RenderedResponse | None, bool]:
        return self.remembered, True


def page_of(rows: str, size: str) -> CachedPage:
    def complete(rows: RenderedResponse, size: RenderedResponse) -> RenderedResponse:
        return RenderedResponse(rows.body, f"{rows.etag}-{size.etag}")

    return CachedPage(Part(RenderedResponse(b"[]", rows)), Part(RenderedResponse(b"", size)), complete)  # type: ignore[arg-type]


def whole_of(page: CachedPage) -> RenderedResponse:
    return asyncio.run(page.get_or_load())[0]


def test_the_whole_is_put_together_once() -> None:
    page = page_of("rows", "size")
    assert whole_of(page).etag == "rows-size"
    assert whole_of(page) is whole_of(page)


@pytest.mark.parametrize(("changed", "expected"), [("rows", "new-size"), ("size", "rows-new")])
def test_a_new_part_makes_a_new_whole(changed: str, expected: str) -> None:
    page = page_of("rows", "size")
    whole_of(page)
    getattr(page, changed).remembered = RenderedResponse(b"[]", "new")
    assert whole_of(page).etag == expected
    assert whole_of(page) is whole_of(page)


def test_the_whole_is_forgotten_with_its_rows() -> None:
    page = page_of("rows", "size")
    whole = ref(whole_of(page))
    assert whole() is not None
    page.rows.remembered = None  # type: ignore[attr-defined]  # it is a `Part`
    assert whole() is None
