"""Checks of answers to a caller whom the test has chosen, beside what schemathesis has to know of the document anyway."""

import json
import os

import schemathesis
from schemathesis import Case, CheckContext, Response

# They register themselves.
from tests.openapi import hooks as hooks

# Texts of rows that the caller must not see, which no request holds.
SECRETS = "SHOP_TEST_SECRETS"


@schemathesis.check
def shows_no_row_of_others(ctx: CheckContext, response: Response, case: Case) -> None:  # type: ignore[type-arg]
    """Neither the body nor the headers hold anything that others alone have written."""
    shown = response.content.decode("utf-8", "replace") + str(response.headers)
    for secret in json.loads(os.environ[SECRETS]):
        assert secret not in shown, f"{secret} of another is shown"
