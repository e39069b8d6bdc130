"""Which versions of a row the lines of If-Match name."""

import pytest

from controllers.preconditions import versions_in

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("lines", "versions"),
    [
        ([], None),
        (["*"], None),
        ([" * "], None),
        (['"a"'], {"a"}),
        (['"a", "b"'], {"a", "b"}),
        (['"a"', '"b"'], {"a", "b"}),
        (['"a.digest"'], {"a"}),
        (['"a-gzip"', '"b-zstd"', '"c.digest-gzip"'], {"a", "b", "c"}),
        (['"a-brotli"'], {"a-brotli"}),
        (['W/"a"'], {"a"}),
        (['W/"a-gzip", "b"'], {"a", "b"}),
        ([""], {""}),
    ],
)
def test_if_match_names_versions(lines: list[str], versions: set[str] | None) -> None:
    assert versions_in(lines) == versions
