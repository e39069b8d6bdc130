"""The application as tests of FastAPI's documentation meet it: by a test client, with `with` and without."""

import pytest
from fastapi.testclient import TestClient

from main import create_fastapi_app
from tests.builders import unique

pytestmark = pytest.mark.integration

client = TestClient(create_fastapi_app())


def test_a_client_of_the_module() -> None:
    assert client.get("/health/ready").status_code == 200
    created = client.post("/categories", json={"name": unique("Lighting")})
    assert created.status_code == 201
    assert client.get(f"/categories/{created.json()['id_key']}").json() == created.json()


def test_a_client_as_a_context() -> None:
    with TestClient(create_fastapi_app()) as own:
        for _ in range(2):
            assert own.get("/products", params={"limit": 5}).status_code == 200
        refused = own.post("/products", json={"name": ""})
        assert refused.status_code == 422
        assert refused.headers["content-type"] == "application/problem+json"
