"""The scheduled tasks that remove what has expired."""

import uuid

import pytest

from security.secret_box import SecretBox, SecretUnreadable
from security.secret_keys import KeyRing
from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background
from tests.jobs.queue_rows import a_job
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration


def is_due(work: Background, task: str) -> None:
    """Have the schedule of the task come, once it is known."""
    wait_for(lambda: rows_of(work.url, "SELECT 1 FROM job_schedules WHERE task = %s", task), "the schedule")
    execute(work.url, "UPDATE job_schedules SET due_at = now() WHERE task = %s", task)


def test_kept_answers_are_forgotten_after_a_day(work: Background) -> None:
    work.start()
    run = uuid.uuid4().hex
    execute(
        work.url,
        "INSERT INTO idempotency_keys (key, fingerprint, status, headers, body, created_at)"
        f" SELECT '{run} ' || hours, '', 201, '{{}}', '', now() - make_interval(hours => hours)"
        " FROM unnest(ARRAY[1, 23, 25, 100]) AS hours",
    )
    is_due(work, "purge_idempotency_keys")
    ours = f"SELECT key FROM idempotency_keys WHERE key LIKE '{run}%' ORDER BY created_at DESC"
    wait_for(lambda: len(rows_of(work.url, ours)) <= 2, "the clean-up")
    assert rows_of(work.url, ours) == [(f"{run} 1",), (f"{run} 23",)]


def test_more_than_a_batch_goes_in_several_steps(work: Background) -> None:
    execute(
        work.url,
        "INSERT INTO idempotency_keys (key, fingerprint, status, headers, body, created_at)"
        " SELECT 'old ' || n, '', 201, '{}', '', now() - interval '2 days' FROM generate_series(1, 2500) AS n",
    )
    work.start()
    is_due(work, "purge_idempotency_keys")
    wait_for(lambda: not rows_of(work.url, "SELECT 1 FROM idempotency_keys"), "the clean-up")


def test_sessions_that_have_expired_are_removed(work: Background) -> None:
    execute(
        work.url,
        "WITH one AS (INSERT INTO users (username, email, email_key)"
        " VALUES ('ada', 'ada@x.org', 'ada@x.org') RETURNING id_key)"
        " INSERT INTO user_sessions (user_id, expires_at, address) SELECT id_key, now() + hours * interval '1 hour', ''"
        " FROM one, unnest(ARRAY[-1, 1]) AS hours",
    )
    work.start()
    is_due(work, "purge_sessions")
    wait_for(lambda: len(rows_of(work.url, "SELECT 1 FROM user_sessions")) == 1, "the clean-up")


def test_jobs_that_were_canceled_long_ago_are_removed(work: Background) -> None:
    old, new, failed = (a_job(work.url)["id_key"] for _ in range(3))
    execute(work.url, f"UPDATE procrastinate_jobs SET status = 'cancelled' WHERE id IN ({old}, {new})")
    execute(work.url, f"UPDATE procrastinate_jobs SET status = 'failed' WHERE id = {failed}")
    execute(
        work.url, f"UPDATE procrastinate_events SET at = now() - interval '40 days' WHERE job_id IN ({old}, {failed})"
    )
    work.start()
    is_due(work, "purge_canceled_jobs")
    wait_for(lambda: old not in work.jobs(), "the clean-up")
    assert {new, failed} <= set(work.jobs())


def test_webhook_deliveries_go_with_their_time_and_secrets_move_to_the_present_key(work: Background) -> None:
    old, new = "old-key-" + "0" * 32, "new-key-" + "0" * 32
    before, present = SecretBox(KeyRing([old]), "webhook secret"), SecretBox(KeyRing([new]), "webhook secret")
    execute(
        work.url,
        "INSERT INTO webhook_endpoints (url, types, secret, previous_secret, previous_secret_until)"
        " SELECT 'https://x.example', '{*}', %s, %s, now() + hours * interval '1 hour' FROM unnest(ARRAY[-1, 1]) AS hours",
        before.encrypted("whsec_a"),
        before.encrypted("whsec_b"),
    )
    execute(
        work.url,
        "INSERT INTO webhook_deliveries (endpoint_id, type, resource, created_at)"
        " SELECT 1, 'stock.low', 'products', now() - days * interval '1 day' FROM unnest(ARRAY[31, 29]) AS days",
    )
    work.start(SECRET_KEYS=f"{new},{old}")
    is_due(work, "purge_webhook_deliveries")
    wait_for(lambda: len(rows_of(work.url, "SELECT 1 FROM webhook_deliveries")) == 1, "the clean-up")
    is_due(work, "renew_webhook_secrets")
    secrets = "SELECT secret, previous_secret FROM webhook_endpoints ORDER BY id_key"

    def are_renewed() -> bool:
        try:
            for secret, _ in rows_of(work.url, secrets):
                present.decrypted(bytes(secret))
        except SecretUnreadable:
            return False
        return True

    wait_for(are_renewed, "the secrets under the present key")
    (_, gone), (secret, kept) = rows_of(work.url, secrets)
    assert gone is None
    assert (present.decrypted(bytes(secret)), present.decrypted(bytes(kept))) == ("whsec_a", "whsec_b")
