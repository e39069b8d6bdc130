"""Logging of a process: set up by the settings (`configure_logging`), and ended (`stop_logging`)."""

import logging

from config.release import RELEASE
from config.settings import Settings
from infrastructure.observability.error_reports import report_errors, send_reports
from infrastructure.observability.log_lines import ShopHandler, render_json, render_text
from infrastructure.observability.log_output import LineWriter, LogFiles

log = logging.getLogger("shop.logging")

# Libraries with handlers of their own; here they use the shop's.
_LIBRARIES = ("uvicorn", "sqlalchemy", "alembic")


def configure_logging(settings: Settings) -> None:
    """Send the log of this process where `settings` say; a second call with the same settings changes nothing.

    A `log_dir` that cannot be written is a warning: the log then goes to standard output alone.
    """
    root = logging.getLogger()
    options = (settings.log_level, settings.log_format, settings.log_dir.absolute(), settings.db_echo)
    for handler in root.handlers:
        if isinstance(handler, ShopHandler) and handler.runs_here and handler.options == options:
            return
    _remove_handlers(root)
    # A line that cannot be written is lost. Python would print a traceback for each to standard error: not redacted,
    # and thousands of times on a full disk.
    logging.raiseExceptions = False
    # No line shows these, and they cost more than the rest of a record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    files, problem = None, None
    try:
        files = LogFiles(settings.log_dir.absolute())
    except OSError as error:
        problem = error
    render = render_text if settings.log_format == "text" else render_json
    root.addHandler(ShopHandler(LineWriter(render, files), options))
    root.setLevel(settings.log_level)
    _take_over_libraries(settings)
    if settings.sentry_dsn is not None:
        report_errors(settings.sentry_dsn, RELEASE)
    if problem is not None:
        log.warning("LOG_DIR %s cannot be written (%s): logging to standard output only", settings.log_dir, problem)


def stop_logging() -> None:
    """Write all lines in the queue. Later ones are written at once, by the thread that logs."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, ShopHandler):
            handler.stop()
    send_reports()


def _remove_handlers(root: logging.Logger) -> None:
    """Remove handlers of an earlier set-up, and plain stream handlers: these would print all lines again, with secrets."""
    for handler in list(root.handlers):
        if isinstance(handler, ShopHandler) or type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
            handler.close()


def _take_over_libraries(settings: Settings) -> None:
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.partition(".")[0] in _LIBRARIES and isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate, logger.disabled = True, False
    # The shop writes its own line per request, with its id. Without a handler uvicorn writes none.
    logging.getLogger("uvicorn.access").propagate = False
    # An engine with echo=True adds a handler to standard output unless there is one.
    engine = logging.getLogger("sqlalchemy.engine.Engine")
    engine.addHandler(logging.NullHandler())
    logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO if settings.db_echo else logging.NOTSET)
