"""Smoke test of a running deployment: `python -m scripts.smoke --base-url https://shop.example.com/api/v1`.

Asks what a deployment gets wrong: health, a read, the headers, the form of an error, TLS, and a write that is cleaned up
again (a category with a random name, read, renamed and deleted). With AUTH=on the write needs SHOP_TOKEN or SHOP_API_KEY with
`catalog:write`, or the database beside the shop; `--read-only` leaves it out. A table says what came of each check. The exit code is
0 when all is well, 1 when a check failed, 2 when nothing answers.
"""

import argparse
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from scripts.api_client import name_shop
from scripts.api_errors import EXIT_CANNOT, EXIT_FINE, EXIT_MISMATCH, ScriptError, shown_address
from scripts.credentials import credentials_for

PASSED, FAILED, SKIPPED = "ok", "FAILED", "skipped"

_TIMEOUT_SECONDS = 10.0
_CERTIFICATE_DAYS = 14
_REQUEST_ID = "smoke-test"
_WANTED_HEADERS = {
    "X-Request-ID": _REQUEST_ID,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Failed(Exception):
    """A check failed; the message says why in one line."""


class Skipped(Exception):
    """A check does not apply; the message says why in one line."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check, and in how many milliseconds."""

    check: str
    outcome: str
    milliseconds: float
    detail: str


class SmokeTest:
    """The checks of one deployment. `api` has the API below it, `site` is its host: health is outside the prefix."""

    def __init__(self, base_url: str, http: httpx.Client, *, read_only: bool) -> None:
        parts = urlsplit(base_url)
        self.api, self.site = base_url.rstrip("/"), f"{parts.scheme}://{parts.netloc}"
        self._parts, self._http, self._read_only = parts, http, read_only

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port."""
        return self._parts.hostname or "", self._parts.port or (443 if self._parts.scheme == "https" else 80)

    def checks(self) -> dict[str, Callable[[], str]]:
        """What is asked, in this order. Each returns a word about what it found."""
        return {
            "TLS": self.tls,
            "live": self.live,
            "ready": self.ready,
            "health": self.health,
            "version": self.version,
            "read": self.read,
            "not modified": self.not_modified,
            "headers": self.headers,
            "errors": self.errors,
            "write and clean-up": self.write,
        }

    def results(self) -> Iterator[Result]:
        """The results, each as soon as it is there."""
        for name, check in self.checks().items():
            began = time.perf_counter()
            try:
                outcome, detail = PASSED, check()
            except Skipped as reason:
                outcome, detail = SKIPPED, str(reason)
            except Failed as reason:
                outcome, detail = FAILED, str(reason)
            except (httpx.HTTPError, OSError, ValueError) as error:
                outcome, detail = FAILED, str(error).partition("\n")[0] or type(error).__name__
            yield Result(name, outcome, (time.perf_counter() - began) * 1000, detail)

    def tls(self) -> str:
        """The certificate is valid for this host, for some time, and the protocol is a present one."""
        if self._parts.scheme != "https":
            raise Skipped("plain HTTP")
        host, _ = self.address
        context = ssl.create_default_context()
        with (
            socket.create_connection(self.address, _TIMEOUT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            protocol, certificate = secure.version(), secure.getpeercert() or {}
        if protocol not in ("TLSv1.2", "TLSv1.3"):
            raise Failed(f"{protocol} is out of date")
        ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
        days = (ends - datetime.now(UTC)).days
        if days < _CERTIFICATE_DAYS:
            raise Failed(f"the certificate ends in {days} days, on {ends:%Y-%m-%d}")
        return f"{protocol}, the certificate is valid for {days} days"

    def live(self) -> str:
        """The process answers."""
        return str(self._json("GET", f"{self.site}/health/live")["status"])

    def ready(self) -> str:
        """It can serve."""
        response = self._send("GET", f"{self.site}/health/ready")
        if response.status_code != 200:
            raise Failed("; ".join(_object(response).get("not_ready", [])) or f"{response.status_code}")
        return str(_object(response)["status"])

    def health(self) -> str:
        """Database and Redis are there."""
        report = self._json("GET", f"{self.site}/health_check")
        states = ", ".join(f"{name} {check['health']}" for name, check in report["checks"].items())
        if report["status"] in ("degraded", "critical"):
            raise Failed(f"{report['status']}: {states}")
        return states

    def version(self) -> str:
        """Which release this is."""
        found = self._json("GET", f"{self.site}/version")
        return f"{found['release']}, commit {found['commit'] or 'unknown'}, schema {found['schema_revision']}"

    def read(self) -> str:
        """A list is there."""
        rows = self._json("GET", f"{self.api}/products?limit=1")
        if not isinstance(rows, list):
            raise Failed("/products is no list")
        return f"{len(rows)} product" if rows else "no product yet"

    def not_modified(self) -> str:
        """A client that has it already is not sent it again: proxies must pass on `ETag` and `If-None-Match`."""
        path = f"{self.api}/categories?limit=1"
        tag = self._send("GET", path).headers.get("ETag")
        if tag is None:
            raise Failed("no ETag")
        response = self._send("GET", path, headers={"If-None-Match": tag})
        if response.status_code not in (200, 304):
            raise Failed(f"{response.status_code} instead of 304")
        if response.status_code == 200 and response.headers.get("ETag") == tag:
            raise Failed("200 instead of 304")
        return "304" if response.status_code == 304 else "it has just changed"

    def headers(self) -> str:
        """What protects browsers is there, and the id of the request comes back."""
        response = self._send("GET", f"{self.api}/products?limit=1", headers={"X-Request-ID": _REQUEST_ID})
        wrong = [name for name, value in _WANTED_HEADERS.items() if response.headers.get(name) != value]
        if wrong:
            raise Failed(f"missing or changed: {', '.join(wrong)}")
        leaked = [name for name in ("Server", "X-Powered-By") if "/" in response.headers.get(name, "")]
        if leaked:
            raise Failed(f"{leaked[0]} tells a version: {response.headers[leaked[0]]}")
        return f"{len(_WANTED_HEADERS)} as they should be"

    def errors(self) -> str:
        """An error is a problem document, and not a page of a proxy."""
        response = self._send("GET", f"{self.api}/products/0?smoke=1")
        kind = response.headers.get("Content-Type", "")
        if response.status_code not in (404, 422) or not kind.startswith("application/problem+json"):
            raise Failed(f"{response.status_code} {kind or 'without a type'} instead of a problem document")
        return f"{response.status_code} {_object(response).get('code', '')}".strip()

    def write(self) -> str:
        """A row is stored, read, changed and deleted."""
        if self._read_only:
            raise Skipped("--read-only")
        name = f"smoke-{uuid.uuid4()}"
        created = self._send("POST", f"{self.api}/categories", json={"name": name}, headers={"Idempotency-Key": name})
        if created.status_code in (401, 403):
            raise Failed(f"{created.status_code}: set SHOP_TOKEN or SHOP_API_KEY (catalog:write), or --read-only")
        if created.status_code != 201:
            raise Failed(f"POST: {created.status_code} {_object(created).get('detail', '')}")
        row = f"{self.api}/categories/{_object(created)['id_key']}"
        try:
            renamed = f"{name}-2"
            self._expect(200, self._send("PUT", row, json={"name": renamed}))
            if self._json("GET", row)["name"] != renamed:
                raise Failed("what was written is not what is read: something in between keeps old answers")
        finally:
            deleted = self._send("DELETE", row)
        self._expect(204, deleted)
        self._expect(404, self._send("GET", row))
        return "a category was stored, read, changed and deleted"

    def _json(self, method: str, url: str) -> Any:
        response = self._send(method, url)
        self._expect(200, response)
        return response.json()

    @staticmethod
    def _expect(status: int, response: httpx.Response) -> None:
        if response.status_code != status:
            asked = f"{response.request.method} {response.request.url.path}"
            raise Failed(f"{asked}: {response.status_code} instead of {status}")

    def _send(self, method: str, url: str, **options: Any) -> httpx.Response:
        return self._http.request(method, url, **options)


def _object(response: httpx.Response) -> dict[str, Any]:
    """The body as an object; an empty one where it is something else."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def show(results: Iterator[Result]) -> bool:
    """Print the table; whether nothing failed."""
    print(f"{'CHECK':<20}{'RESULT':<9}{'MS':>7}  DETAIL")
    fine = True
    for result in results:
        fine = fine and result.outcome != FAILED
        print(f"{result.check:<20}{result.outcome:<9}{result.milliseconds:>7.0f}  {result.detail}", flush=True)
    return fine


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.smoke", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base-url", default="http://127.0.0.1:8000", help="where the API is, with its prefix")
    parser.add_argument("--read-only", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    if urlsplit(options.base_url).scheme not in ("http", "https"):
        parser.error(f"--base-url {shown_address(options.base_url)!r} is no http:// or https:// address")
    name_shop(options.base_url)
    with ExitStack() as stack:
        try:
            headers = {} if options.read_only else stack.enter_context(credentials_for(options.base_url))
        except ScriptError:
            # The check of the write says what is missing.
            headers = {}
        # Authorities of one's own are named by SSL_CERT_FILE.
        context = ssl.create_default_context()
        http = httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False, headers=headers, verify=context)
        test = SmokeTest(options.base_url, stack.enter_context(http), read_only=options.read_only)
        try:
            socket.create_connection(test.address, _TIMEOUT_SECONDS).close()
        except OSError as error:
            print(f"Stopped: nothing answers at {shown_address(test.site)}: {error}", file=sys.stderr)
            return EXIT_CANNOT
        fine = show(test.results())
    print("All is well" if fine else "Something is wrong")
    return EXIT_FINE if fine else EXIT_MISMATCH


if __name__ == "__main__":
    sys.exit(main())
