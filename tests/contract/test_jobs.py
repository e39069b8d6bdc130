"""Jobs over HTTP: lists, one job, another try, and the end of one."""

import json
import uuid

import httpx
import pytest

from tests.jobs.queue_rows import a_job
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration

STATUSES = {"todo": "queued", "doing": "running", "failed": "failed", "cancelled": "canceled", "aborted": "canceled"}


@pytest.fixture
def task() -> str:
    """The name of a task that only this test has."""
    return f"of_test_{uuid.uuid4().hex}"


def keys(response: httpx.Response) -> list[int]:
    assert response.status_code == 200, response.text
    return [row["id_key"] for row in response.json()]


@pytest.mark.parametrize("status", STATUSES)
def test_a_job_shows_what_has_become_of_it(client: httpx.Client, database_url: str, task: str, status: str) -> None:
    job = a_job(database_url, status, task)["id_key"]
    execute(database_url, f"UPDATE procrastinate_jobs SET args = '{{\"key\": 1.5}}', attempts = 2 WHERE id = {job}")
    execute(database_url, f"INSERT INTO job_notes (job_id, error, done, total) VALUES ({job}, 'ValueError: no', 3, 7)")
    shown = client.get(f"/jobs/{job}").json()
    assert shown["status"] == STATUSES[status]
    assert shown["task"] == task
    assert shown["args"] == {"key": 1.5}
    assert shown["attempts"] == 2 + (status == "doing")
    assert shown["error"] == "ValueError: no"
    assert shown["progress"] == {"done": 3, "total": 7}
    assert shown["scheduled_at"] is not None
    (listed,) = client.get("/jobs", params={"task": task}).json()
    assert listed == shown


def test_lists_are_filtered_and_paged(client: httpx.Client, database_url: str, task: str) -> None:
    failed = [a_job(database_url, "failed", task)["id_key"] for _ in range(3)]
    queued = [a_job(database_url, "todo", task)["id_key"] for _ in range(2)]
    of_task = {"task": task}
    assert keys(client.get("/jobs", params=of_task)) == failed + queued
    assert keys(client.get("/jobs", params=of_task | {"status": "failed"})) == failed
    assert keys(client.get("/jobs", params={**of_task, "status": ["queued", "running"]})) == queued
    page = client.get("/jobs", params=of_task | {"limit": "2", "skip": "1"})
    assert keys(page) == failed[1:]
    assert page.headers["X-Total-Count"] == "5"
    assert 'rel="next"' in page.headers["Link"]
    assert keys(client.get("/jobs", params=of_task | {"after": str(failed[-1])})) == queued
    assert keys(client.get("/jobs", params=of_task | {"sort": "-id_key"})) == (failed + queued)[::-1]
    assert client.get("/jobs", params=of_task | {"fields": "status", "limit": "1"}).json() == [
        {"id_key": failed[0], "status": "failed"}
    ]


@pytest.mark.parametrize("query", ["status=done", "sort=error", "unknown=1", "limit=0", "fields=lock"])
def test_what_lists_do_not_know_is_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"/jobs?{query}").status_code == 422


@pytest.mark.parametrize("status", ["todo", "failed", "cancelled"])
def test_a_job_is_tried_again_at_once_with_all_its_tries(client: httpx.Client, database_url: str, status: str) -> None:
    job = a_job(database_url, status)["id_key"]
    execute(database_url, f"INSERT INTO job_notes (job_id, failures, deaths, error) VALUES ({job}, 8, 2, 'no')")
    retried = client.post(f"/jobs/{job}/retry")
    assert retried.status_code == 200
    assert retried.json()["status"] == "queued"
    assert retried.json() == client.get(f"/jobs/{job}").json()
    ((is_due, *counts),) = rows_of(
        database_url,
        "SELECT scheduled_at IS NULL, failures, deaths FROM procrastinate_jobs JOIN job_notes ON job_id = id WHERE id = %s",
        job,
    )
    assert (is_due, counts) == (True, [0, 0])


@pytest.mark.parametrize("status", ["todo", "failed"])
def test_a_job_is_canceled(client: httpx.Client, database_url: str, status: str) -> None:
    job = a_job(database_url, status)["id_key"]
    assert client.post(f"/jobs/{job}/cancel").json()["status"] == "canceled"
    problem = client.post(f"/jobs/{job}/cancel")
    assert (problem.status_code, problem.json()["code"]) == (409, "job_conflict")


def test_one_that_runs_is_asked_to_end_and_not_started_twice(client: httpx.Client, database_url: str) -> None:
    job = a_job(database_url, "doing")["id_key"]
    problem = client.post(f"/jobs/{job}/retry")
    assert (problem.status_code, problem.json()["code"]) == (409, "job_conflict")
    assert client.post(f"/jobs/{job}/cancel").json()["status"] == "running"
    assert rows_of(database_url, f"SELECT abort_requested FROM procrastinate_jobs WHERE id = {job}") == [(True,)]


@pytest.mark.parametrize("path", ["/jobs/{}", "/jobs/{}/retry", "/jobs/{}/cancel"])
@pytest.mark.parametrize("key", [0, 2**62, 2**64])
def test_a_job_that_is_not_there_is_not_found(client: httpx.Client, path: str, key: int) -> None:
    method = "GET" if path.endswith("}") else "POST"
    assert client.request(method, path.format(key)).status_code in (404, 422)


def test_a_repeated_retry_has_one_effect(client: httpx.Client, database_url: str) -> None:
    job = a_job(database_url, "failed")["id_key"]
    headers = {"Idempotency-Key": json.dumps(str(uuid.uuid4()))}
    first, second = (client.post(f"/jobs/{job}/retry", headers=headers) for _ in range(2))
    assert first.content == second.content
    assert second.headers["Idempotent-Replayed"] == "true"
