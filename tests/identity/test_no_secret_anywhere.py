"""A10: everything is done with secrets that nobody else has, and then they are looked for wherever the shop writes.

The log is as talkative as it can be, with the SQL in it. Only the mails have tokens, which are what they are for.
"""

import base64
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil
import pytest
import redis

from config.settings import PROJECT_ROOT
from infrastructure.embedded.servers import ServerUrls
from tests.mail_server import text_of
from tests.race.databases import execute, new_database, rows_of
from tests.shop import environment_of, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NAME = "canary-user"
EMAIL = "canary@example.com"
REGISTRATION = {"username": NAME, "email": EMAIL, "name": "Ada", "lastname": "Lovelace"}


@dataclass
class Canaries:
    """The secrets by what they are, and all that the shop has said."""

    secrets: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def password(self, name: str) -> str:
        """A new password, by the name of what it is tried for."""
        return self.keep(f"password {name}", f"Canary {secrets.token_hex(8)}")

    def keep(self, name: str, secret: str) -> str:
        self.secrets[name] = secret
        return secret

    def hear(self, response: httpx.Response) -> httpx.Response:
        """Note a response that has to be without secrets."""
        self.said.append(f"{response.status_code} {response.headers!r} {response.text}")
        return response

    def found_in(self, texts: Iterator[tuple[str, str]]) -> list[str]:
        """Which secret is in which of the texts, in any writing."""
        return sorted(
            f"{name} in {place}: …{text[max(0, text.find(writing) - 80) : text.find(writing) + 20]}…"
            for place, text in texts
            for name, secret in self.secrets.items()
            for writing in {secret, quote(secret), base64.b64encode(secret.encode()).decode(), json.dumps(secret)[1:-1]}
            if writing in text
        )


def test_no_secret_is_anywhere(servers: ServerUrls, redis_url: str, tmp_path: Path) -> None:
    url, canaries = new_database(servers.database_url), Canaries()
    environment = environment_of(
        url,
        redis_url,
        tmp_path,
        AUTH="on",
        DATA_DIR=str(tmp_path / "data"),
        LOG_LEVEL="DEBUG",
        DB_ECHO="true",
        RATE_LIMIT_LOGIN="10/60",
        RATE_LIMIT_REGISTER="100/60",
        SECRET_KEYS=canaries.keep("secret key", secrets.token_urlsafe(40)),
    )
    with (
        shop_processes(environment, errors=tmp_path / "errors") as (address, launcher),
        httpx.Client(base_url=address, timeout=30) as http,
    ):
        use_passwords(canaries, http)
        tokens = log_in(canaries, http)
        use_mails(canaries, http, tmp_path / "data" / "mail")
        use_everywhere(canaries, http, "access token", tokens["access_token"])
        use_everywhere(canaries, http, "refresh token", tokens["refresh_token"])
        use_everywhere(canaries, http, "api key", an_api_key(canaries, http, url))
        use_console(canaries, environment)
        canaries.said.append(http.get("/metrics", headers={"X-API-Key": canaries.secrets["api key"]}).text)
        processes = [psutil.Process(launcher.pid), *psutil.Process(launcher.pid).children(recursive=True)]
        commands = " ".join(word for process in processes for word in process.cmdline())

    def texts() -> Iterator[tuple[str, str]]:
        yield "responses", "\n".join(canaries.said)
        yield "command lines", commands
        yield from files_in(tmp_path)
        yield from tables_of(url)
        yield from entries_of(redis_url)

    places = {place for place, _ in texts()}
    assert {"app.log", "table users", "table audit_entries", "Redis"} <= places
    assert "SELECT" in (tmp_path / "logs" / "app.log").read_text()
    assert "\n".join(canaries.found_in(texts())) == ""


def use_passwords(canaries: Canaries, http: httpx.Client) -> None:
    """Passwords that are taken, wrong, misplaced, malformed, too short and too many."""
    password, hear = canaries.password("of the user"), canaries.hear
    assert hear(http.post("/auth/register", json={**REGISTRATION, "password": password})).status_code == 201
    again = {**REGISTRATION, "password": canaries.password("of a taken name")}
    assert hear(http.post("/auth/register", json=again, headers={"Idempotency-Key": "canary"})).status_code == 409
    for odd in ({"password": [password]}, {"password": password, "passwort": password}, {"role": password}):
        assert hear(http.post("/auth/register", json={**REGISTRATION, **odd})).status_code == 422
    misplaced = canaries.password("in the query")
    hear(http.post("/auth/login", params={"username": NAME, "password": misplaced}))
    hear(http.get("/auth/login", params={"password": misplaced}))
    hear(http.get("/products", params={"password": misplaced}))
    hear(http.get(f"http://{NAME}:{quote(misplaced)}@{http.base_url.host}:{http.base_url.port}/products"))
    broken = canaries.password("in broken JSON")
    hear(http.post("/auth/login", content=f'{{"username": "{NAME}", "password": "{broken}"'.encode()))
    hear(http.post("/login", data={"username": NAME, "password": canaries.password("wrong, in a form")}))
    for number in range(12):
        wrong = {"username": "somebody", "password": canaries.password(f"wrong {number}")}
        status = hear(http.post("/auth/login", json=wrong)).status_code
        assert status in (401, 429)
    assert status == 429


def log_in(canaries: Canaries, http: httpx.Client) -> dict[str, str]:
    """The last tokens of a user who has used all that an account can."""
    password = canaries.secrets["password of the user"]
    tokens: dict[str, str] = http.post("/auth/login", data={"username": NAME, "password": password}).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    hear = canaries.hear
    canaries.keep("first access token", tokens["access_token"])
    canaries.keep("first refresh token", tokens["refresh_token"])
    assert hear(http.get("/auth/me", headers=headers)).status_code == 200
    assert hear(http.get("/auth/sessions", headers=headers)).status_code == 200
    hear(http.post("/auth/validate-token", json={"token": tokens["access_token"]}, headers=headers))
    change = {"password": canaries.password("changed"), "current_password": password}
    assert hear(http.patch("/auth/me", json=change, headers=headers)).status_code == 200
    wrong = {"password": canaries.password("refused"), "current_password": canaries.password("wrong current")}
    assert hear(http.patch("/auth/me", json=wrong, headers=headers)).status_code >= 400
    refreshed: dict[str, str] = http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).json()
    cookie = {"username": NAME, "password": change["password"], "cookie": True}
    by_cookie = http.post("/auth/login", json=cookie)
    assert by_cookie.status_code == 200
    canaries.keep("refresh token of a cookie", by_cookie.cookies[next(iter(by_cookie.cookies))])
    http.cookies.clear()
    canaries.keep("access token", refreshed["access_token"])
    canaries.keep("refresh token", refreshed["refresh_token"])
    return refreshed


def use_mails(canaries: Canaries, http: httpx.Client, folder: Path) -> None:
    """The tokens of all mails."""
    hear = canaries.hear
    assert hear(http.post("/auth/password/forgot", json={"email": EMAIL})).status_code == 202
    verify, reset = canaries.keep("token to verify", mailed(folder, "verify")), mailed(folder, "Set a new password")
    canaries.keep("token to reset", reset)
    for token, path in ((verify, "/auth/email/verify"), (reset, "/auth/password/reset")):
        hear(http.get(path, params={"token": token}))
        hear(http.post(path, params={"token": token}))
        hear(http.post(f"{path}/{token}"))
        hear(http.post(path, json={"token": [token]}))
    assert hear(http.post("/auth/email/verify", json={"token": verify})).status_code == 204
    new = {"token": reset, "password": canaries.password("after the mail")}
    assert hear(http.post("/auth/password/reset", json=new)).status_code == 204
    assert hear(http.post("/auth/password/reset", json=new)).status_code == 400


def mailed(folder: Path, subject: str) -> str:
    """The token in the mail with these words in its subject, once that is there."""
    deadline = time.monotonic() + 60
    while True:
        for path in folder.glob("*.eml"):
            mail = message_from_bytes(path.read_bytes(), policy=default)
            assert isinstance(mail, EmailMessage)
            if subject in mail["Subject"]:
                return text_of(mail).partition("?token=")[2].split()[0]
        assert time.monotonic() < deadline, f"no mail: {subject}"
        time.sleep(0.05)


def an_api_key(canaries: Canaries, http: httpx.Client, url: str) -> str:
    """A key that the user has made as an administrator, who also gives passwords to others."""
    execute(url, "UPDATE users SET role = 'admin'")
    password = {"username": NAME, "password": canaries.secrets["password after the mail"]}
    tokens = http.post("/auth/login", json=password).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}", "Idempotency-Key": "canary-key"}
    body = {"name": "canary", "scopes": ["metrics:read", "catalog:write", "clients:read"]}
    made = http.post("/api_keys", json=body, headers=headers)
    assert made.status_code == 201
    canaries.hear(http.post("/api_keys", json=body, headers=headers))
    user = {"username": "another", "email": "another@example.com", "role": "staff"}
    headers.pop("Idempotency-Key")
    created = http.post("/users", json={**user, "password": canaries.password("of another")}, headers=headers)
    assert canaries.hear(created).status_code == 201
    change = {"password": canaries.password("of another, changed")}
    assert canaries.hear(http.patch(created.headers["Location"], json=change, headers=headers)).status_code == 200
    canaries.hear(http.get("/audit_entries", headers=headers))
    return canaries.keep("api key", next(v for v in made.json().values() if str(v).startswith("shop_")))


def use_console(canaries: Canaries, environment: dict[str, str]) -> None:
    """The password of a user who is made at the console."""
    password = canaries.password("at the console")
    command = [sys.executable, "-m", "scripts.users", "create-admin", "--email", "boss@example.com"]
    done = subprocess.run(
        command,
        input=f"{password}\n",
        env={**os.environ, **environment},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    canaries.said.append(done.stdout + done.stderr)


def use_everywhere(canaries: Canaries, http: httpx.Client, name: str, secret: str) -> None:
    """A secret in every place of a request where somebody may put it, wrong ones included."""
    hear = canaries.hear
    changed = canaries.keep(f"{name}, changed", secret[:-2] + ("AA" if not secret.endswith("AA") else "BB"))
    for each in (secret, changed):
        for headers in (
            {"Authorization": f"Bearer {each}"},
            {"Authorization": f"Basic {base64.b64encode(f'{NAME}:{each}'.encode()).decode()}"},
            {"Authorization": each},
            {"X-API-Key": each},
            {"X-API-Key": each, "Authorization": f"Bearer {each}"},
            {"Cookie": f"session={each}"},
            {"Referer": f"http://shop.example/?token={each}"},
        ):
            for path in ("/clients", "/products", "/auth/me", "/nowhere"):
                hear(http.get(path, headers=headers))
            hear(http.post("/categories", headers=headers, json={"name": secrets.token_hex(8)}))
        for parameter in ("token", "access_token", "api_key", "key"):
            hear(http.get("/products", params={parameter: each}))
        hear(http.get(f"/products/{each}"))
        hear(http.get(f"/{each}"))
        hear(http.post("/auth/refresh", json={"refresh_token": [each]}))
        hear(http.post("/auth/validate-token", json={"token": {"of": each}}))
        hear(http.post("/auth/logout", json={"refresh_tokens": each}))


def files_in(folder: Path) -> Iterator[tuple[str, str]]:
    """All files that the shop has written, except for its mails."""
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".eml":
            yield path.name, path.read_text(errors="replace")


def tables_of(url: str) -> Iterator[tuple[str, str]]:
    for (table,) in rows_of(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        yield f"table {table}", "\n".join(row for (row,) in rows_of(url, f"SELECT t::text FROM {table} t"))


def entries_of(redis_url: str) -> Iterator[tuple[str, str]]:
    with redis.Redis.from_url(redis_url) as connection:
        for key in connection.scan_iter(count=1000):
            value = connection.get(key) if connection.type(key) == b"string" else b""
            assert isinstance(key, bytes)
            assert value is None or isinstance(value, bytes)
            yield "Redis", f"{key.decode(errors='replace')} {(value or b'').decode(errors='replace')}"
