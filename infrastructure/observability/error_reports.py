"""Error reports: what the log has at ERROR, sent to a server that speaks Sentry's protocol, where SENTRY_DSN names one.

The library is imported only then. It sends in a thread of its own, and drops what it cannot send in time: no request
waits for it.
"""

import logging
import sys
from typing import TYPE_CHECKING, Any, cast

from infrastructure.observability.log_lines import request_id, trace_id
from infrastructure.observability.redaction import redact_value

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

_FLUSH_SECONDS = 2.0


def report_errors(dsn: str, release: str) -> None:
    """Send every record of this process at ERROR and above, with its traceback, from now on. `release` is what it runs."""
    import sentry_sdk
    from sentry_sdk.integrations.logging import LoggingIntegration

    sentry_sdk.init(
        dsn=dsn,
        release=release,
        # Others look at requests, statements and command lines, where secrets are.
        default_integrations=False,
        integrations=[LoggingIntegration(level=None, event_level=logging.ERROR)],
        send_default_pii=False,
        include_local_variables=False,
        max_breadcrumbs=0,
        send_client_reports=False,
        auto_session_tracking=False,
        before_send=_without_secrets,
        # Every server takes it, unlike Brotli, which is the default where another package has brought it.
        _experiments={"transport_compression_algo": "gzip"},  # type: ignore[typeddict-item]  # as it reads it
    )


def send_reports() -> None:
    """Send what is waiting, for at most two seconds; nothing where no errors are reported."""
    if "sentry_sdk" in sys.modules:
        sys.modules["sentry_sdk"].flush(_FLUSH_SECONDS)


def _without_secrets(event: "Event", hint: "Hint") -> "Event":
    plain = cast(dict[str, Any], redact_value(event)) | {"timestamp": event.get("timestamp")}
    tags = {"request_id": request_id.get(), "trace_id": trace_id.get()}
    plain["tags"] = {**plain.get("tags", {}), **{name: value for name, value in tags.items() if value is not None}}
    return cast("Event", plain)
