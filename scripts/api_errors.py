"""The errors of scripts that use the API, and the exit codes of scripts.

ScriptError                 a script cannot go on; its text is one line for the person who ran it
├── ApiUnreachable          no response, or 502 to 504, for longer than the client repeats a request
├── RateLimited             the response was 429
├── Refused                 the response was another error; carries its status and code
└── Mismatch                the rows in the API are not the expected ones
"""

EXIT_FINE, EXIT_MISMATCH, EXIT_CANNOT, EXIT_INTERRUPTED = 0, 1, 2, 130


def shown_address(base_url: str) -> str:
    """The address of a shop as people may read it: without a name and a password before the host."""
    credentials, at, address = base_url.rpartition("@")
    scheme, slashes, _ = credentials.rpartition("//")
    return f"{scheme}{slashes}{address}" if at else base_url


def rate_limited(has_credentials: bool) -> str:
    """Why the API answers 429, and the setting that helps. Callers with credentials are limited wherever they are."""
    if has_credentials:
        return (
            "The API limits the requests of this token or key (429). Start the API with a larger "
            "RATE_LIMIT_CALLS_AUTHENTICATED, for example RATE_LIMIT_CALLS_AUTHENTICATED=1000000"
        )
    return (
        "The API limits the requests of this machine (429). Start the API with this machine's network in "
        "RATE_LIMIT_EXEMPT, for example RATE_LIMIT_EXEMPT=127.0.0.1/32,::1/128"
    )


class ScriptError(Exception):
    """A script cannot go on. The text is one line for the person who ran it."""

    exit_code = EXIT_CANNOT


class ApiUnreachable(ScriptError):
    """The API does not answer."""


class RateLimited(ScriptError):
    """The API limits this machine; the text says how to exempt it."""

    def __init__(self, *, has_credentials: bool = False) -> None:
        super().__init__(f"{rate_limited(has_credentials)}, and run this again: it goes on where it stopped.")


class Mismatch(ScriptError):
    """The rows in the API are not the expected ones."""

    exit_code = EXIT_MISMATCH


class Refused(ScriptError):
    """The API refused a request.

    `code` is the error's name for programs. `replayed` means that this is the kept response to an earlier request with
    the same `Idempotency-Key`, which may no longer be true.
    """

    def __init__(self, method: str, path: str, status: int, code: str, detail: object, replayed: bool) -> None:
        super().__init__(f"{method} {path} was refused with {status}: {' '.join(str(detail).split())}")
        self.status, self.code, self.replayed = status, code, replayed
