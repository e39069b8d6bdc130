"""Log lines: records become text or JSON, with request ids, and without secrets.

    logger.info(…) → Line → queue → thread → text, redacted and escaped → standard output, app.log, error.log

`infrastructure.observability.access_log` renders the lines of requests itself. `config.logging_config` sets the log up
once per process.
"""

import logging
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache

import orjson

from infrastructure.observability.log_output import BackgroundHandler, Line, LineWriter
from infrastructure.observability.redaction import cut, escape, kind_of_secret, redact, redact_value

log = logging.getLogger("shop.logging")

# The id of the current request, set by the middleware; it is copied with the context into worker threads.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
# The id of the client's trace over several services, if it has one; likewise.
trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)

# The attributes of every record. Others come from `extra=`; `color_message` is uvicorn's text for terminals.
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}

_INDENT = "    "


class ShopHandler(BackgroundHandler):
    """A `BackgroundHandler` that knows its settings: `options` are the level, the format, the folder, and whether SQL is shown."""

    def __init__(self, writer: LineWriter, options: tuple[object, ...]) -> None:
        super().__init__(writer, line_of)
        self.options = options

    @property
    def writes_text(self) -> bool:
        """Whether lines are text for people, not JSON."""
        return self.options[1] == "text"


def line_of(record: logging.LogRecord) -> Line:
    """The line of a record. The arguments are rendered at once: they may change later, or belong to a session."""
    return Line(
        moment=record.created,
        level=record.levelno,
        logger=record.name,
        request_id=request_id.get(),
        message=cut(_message(record)),
        exception=_exception(record),
        extra={
            name: kind_of_secret(name) or redact_value(value)
            for name, value in vars(record).items()
            if name not in _STANDARD
        },
        place=f"{record.funcName}:{record.lineno}" if log.isEnabledFor(logging.DEBUG) else "",
        trace_id=trace_id.get(),
    )


def _message(record: logging.LogRecord) -> str:
    arguments = record.args
    try:
        if isinstance(arguments, Mapping):
            named = {name: kind_of_secret(str(name)) or _argument(value) for name, value in arguments.items()}
            return str(record.msg) % named
        return str(record.msg) % tuple(map(_argument, arguments)) if arguments else str(record.msg)
    except Exception as error:
        # The message does not fit its arguments, which is a mistake in the code; the line shows both.
        return f"{record.msg} {arguments} ({type(error).__name__} in the call of the log)"


def _argument(value: object) -> object:
    """Redact nested data name by name, which finds more than a search in its text."""
    return redact_value(value) if isinstance(value, dict | list) else value


def _exception(record: logging.LogRecord) -> str | None:
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append("".join(traceback.format_exception(*record.exc_info)).rstrip())
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    return cut("\n".join(parts)) if parts else None


def render_text(line: Line) -> str:
    """`2026-11-16T10:00:00.123Z INFO shop.access [abc-123] GET /products - 200 OK (45ms)`.

    At the level DEBUG the logger is followed by the function and the line: `shop.cache:get:120`. A traceback follows
    in lines of its own, each indented, so that no line of it looks like an entry.
    """
    message = line.message
    # A message of the access log has the id of its request already.
    if line.request_id is not None and not message.startswith(f"[{line.request_id}] "):
        message = f"[{line.request_id}] {message}"
    source = f"{line.logger}:{line.place}" if line.place else line.logger
    text = escape(redact(f"{logging.getLevelName(line.level)} {source} {message}"))
    text += trace_suffix(line.trace_id)
    if line.extra:
        text += f" {json_line(line.extra)}"
    if line.exception is not None:
        trace = escape(redact(line.exception), keep_lines=True)
        text += "".join(f"\n{_INDENT}{part}" for part in trace.split("\n"))
    return f"{timestamp(line.moment)} {text}"


def trace_suffix(trace_id: str | None) -> str:
    """The end of a text line that belongs to a trace."""
    return "" if trace_id is None else f" trace_id={trace_id}"


def render_json(line: Line) -> str:
    """One JSON object, with `request_id`, `trace_id`, `exception` and `extra` only where there is one."""
    members: dict[str, object] = {
        "ts": timestamp(line.moment),
        "level": logging.getLevelName(line.level),
        "logger": line.logger,
    }
    if line.request_id is not None:
        members["request_id"] = escape(redact(line.request_id))
    if line.trace_id is not None:
        members["trace_id"] = line.trace_id
    # Escaped before it becomes JSON: a reader that prints the message alone shows one line as well.
    members["message"] = escape(redact(line.message))
    if line.exception is not None:
        members["exception"] = escape(redact(line.exception), keep_lines=True)
    if line.extra:
        members["extra"] = line.extra
    return json_line(members)


def json_line(members: dict[str, object]) -> str:
    """`members` as one line of JSON."""
    return orjson.dumps(members).decode()


def timestamp(moment: float) -> str:
    """RFC 3339 in UTC with milliseconds; `moment` in seconds since 1970."""
    second, milliseconds = divmod(int(moment * 1000), 1000)
    return f"{_second(second)}.{milliseconds:03d}Z"


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
