"""FastAPI's models of OpenAPI wait for whoever needs them first. In a process of its own, which has none of them yet."""

import subprocess
import sys

import pytest

from config.settings import PROJECT_ROOT

pytestmark = pytest.mark.unit

PROGRAM = """
from controllers.openapi.deferred_models import import_openapi_models
import_openapi_models()

from fastapi.openapi.models import OpenAPI
from pydantic import BaseModel

print(OpenAPI.__pydantic_complete__)

class Other(BaseModel):
    number: int

print(Other.__pydantic_complete__)
document = OpenAPI(openapi="3.1.0", info={"title": "Shop", "version": "1"}, paths={})
print(OpenAPI.__pydantic_complete__, document.info.title)
"""


def test_they_are_built_at_their_first_use_and_other_models_as_always() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["False", "True", "True", "Shop"]
