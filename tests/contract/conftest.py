"""What the tests of the contract share: every resource in turn."""

import pytest

from tests.builders import BUILDERS, Builder


@pytest.fixture(params=BUILDERS.values(), ids=list(BUILDERS))
def resource(request: pytest.FixtureRequest) -> Builder:
    """The builder of each resource in turn."""
    builder: Builder = request.param
    return builder
