"""Load test of a running shop, with Locust: visitors who mostly read, and buyers whose purchases are verified at the end.

    locust -f load_test.py                                             web page on http://localhost:8089
    python load_test.py --headless --users 100 --spawn-rate 20 --run-time 60s [--host URL] [Visitor] [Buyer]

Both take all options of Locust. Nine of ten users are visitors: 40 % product lists, 25 % single products,
15 % categories, 10 % client lists and 10 % new products and clients; `--writes` sets that last share, and the others
keep their proportions. One of ten is a buyer: orders of three lines from a catalog of this run, some repeated with
their key, some canceled or returned, with prices that change meanwhile. Each user waits one to three seconds between
two requests. An empty shop gets a few rows first; the new rows stay. A shop with AUTH=on gets the credentials in
SHOP_TOKEN or SHOP_API_KEY, else those of a key that the test makes itself (see `scripts.credentials`).

At the end the test prints the cache's hit rate, by the counters of all workers in /metrics, the targets of `--max-p95`
and `--min-hit-rate`, and `oversold 0, lost 0, doubled 0`: the rows in the API compared with every response that a buyer
got. The exit code is not 0 when one of these is not 0, when a request failed, when a target was missed, or when the
test could not be run.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import gevent  # type: ignore[import-untyped]  # it comes with Locust and has no type hints
import httpx
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.event import EventHook
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, Runner, WorkerRunner

from benchmarks.buyer import HOST, Buyer
from benchmarks.load_report import Run, cache_reads, http_client, sum_up
from benchmarks.purchases import Ledger, create_catalog
from benchmarks.visitor import USUAL_WRITES, Visitor, prepare_shop
from scripts.api_errors import rate_limited
from scripts.credentials import CredentialsNeeded, credentials_for

# Locust logs to standard error, where the requests that prepare the shop would hide other lines.
logging.getLogger("httpx").setLevel(logging.WARNING)

run = Run()
credentials = ExitStack()


L = TypeVar("L", bound=Callable[..., None])


def listen(hook: EventHook) -> Callable[[L], L]:
    """Locust's `hook.add_listener` as a decorator that keeps the listener's type."""

    def register(listener: L) -> L:
        hook.add_listener(listener)  # type: ignore[no-untyped-call]  # Locust gives it no types
        return listener

    return register


def stop_test(environment: Environment, reason: str) -> None:
    """Print the reason once, and end the test with a failure; the web page, if there is one, stays."""
    if environment.process_exit_code is not None or environment.runner is None:
        return
    print(reason, file=sys.stderr, flush=True)
    environment.process_exit_code = 1
    # In a greenlet of its own, because the end of the test ends the current one.
    gevent.spawn(environment.runner.quit if environment.web_ui is None else environment.runner.stop)


def percentage(text: str) -> float:
    """The number in `text`. Raises `argparse.ArgumentTypeError`."""
    number = float(text)
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError("must be 0 to 100")
    return number


@listen(events.init_command_line_parser)
def add_options(parser: LocustArgumentParser, **_: Any) -> None:
    parser.add_argument(
        "--writes",
        type=percentage,
        default=USUAL_WRITES,
        metavar="PERCENT",
        help="New products and clients among what visitors do. Defaults to %(default)s.",
    )
    parser.add_argument(
        "--max-p95",
        type=float,
        metavar="MS",
        help="Fail unless 95 %% of the requests are faster.",
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--min-hit-rate",
        type=percentage,
        metavar="PERCENT",
        help="Fail unless the cache answers more of the reads it is asked for.",
        include_in_web_ui=False,
    )


@listen(events.test_start)
def set_up(environment: Environment, **_: Any) -> None:
    global run
    environment.process_exit_code = None
    run = Run()
    try:
        take_credentials(environment)
        with http_client(environment) as http:
            Visitor.shop = prepare_shop(http)
            if Buyer in environment.user_classes:
                prepare_buyers(environment, http)
            if not isinstance(environment.runner, WorkerRunner):
                run.cache_before = cache_reads(http)
    except httpx.HTTPStatusError as error:
        limited = error.response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        reason = limited_test() if limited else f"The shop could not be prepared: {error}"
    except CredentialsNeeded as error:
        reason = str(error)
    except httpx.RequestError as error:
        reason = f"No shop answers at {environment.host or HOST} ({error})"
    else:
        return
    stop_test(environment, reason)
    # After any other exception Locust would still start the users; this one prevents it, without a traceback.
    raise gevent.GreenletExit


def take_credentials(environment: Environment) -> None:
    """The headers with which the users call; a throw-away key lives until the process ends."""
    if Buyer.default_headers is None:
        Buyer.default_headers = credentials.enter_context(credentials_for(environment.host or HOST))
        Visitor.default_headers = Buyer.default_headers


@listen(events.quit)
def give_back_credentials(**_: Any) -> None:
    credentials.close()


def limited_test() -> str:
    """What the test says of 429."""
    reason = rate_limited(has_credentials=bool(Buyer.default_headers))
    return f"{reason}: the test measures the limiter, not the shop."


def prepare_buyers(environment: Environment, http: httpx.Client) -> None:
    """Each process has a catalog and a client of its own; a master has no buyers."""
    if isinstance(environment.runner, MasterRunner):
        run.ledgers_due = environment.runner.worker_count
    else:
        Buyer.ledger = Ledger(create_catalog(http))
        run.ledgers_due = 1


@listen(events.init)
def begin_to_count_time(**_: Any) -> None:
    """Let the time of the run count from now: gevent has not looked at the clock since the imports began."""
    gevent.get_hub().loop.update_now()


@listen(events.init)
def handle_ctrl_c(environment: Environment, **_: Any) -> None:
    """Let Ctrl-C end a run in the same way as the end of its time."""
    assert environment.parsed_options is not None
    if isinstance(environment.runner, WorkerRunner) and environment.parsed_options.processes:
        # Leaves the terminal's group: Ctrl-C is for the master, which stops its workers.
        os.setpgrp()
    elif environment.runner is not None and environment.web_ui is None:
        quit_at_ctrl_c(environment.runner)


def quit_at_ctrl_c(runner: Runner) -> None:
    def quit_once() -> None:
        # A second Ctrl-C ends the process at once.
        watcher.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # `quit` alone would not wait for the reports of the worker processes.
        runner.stop()
        runner.quit()

    watcher = gevent.signal_handler(signal.SIGINT, quit_once)


@listen(events.init)
def watch_responses(environment: Environment, **_: Any) -> None:
    listen(environment.events.request)(partial(watch, environment))
    if environment.runner is not None and not isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message("ledger", receive_ledger)


def watch(environment: Environment, response: Any, **_: Any) -> None:
    """End the test at the first response of the rate limiter."""
    if response is not None and response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        stop_test(environment, limited_test())


@listen(events.test_stop)
def send_ledger(environment: Environment, **_: Any) -> None:
    """Send the ledger to the master, or to this process itself if it is the only one."""
    if run.ledgers_due and environment.runner is not None and not isinstance(environment.runner, MasterRunner):
        environment.runner.send_message("ledger", Buyer.ledger.as_message())


def receive_ledger(msg: Any, **_: Any) -> None:
    run.ledgers.append(Ledger.from_message(msg.data))


@listen(events.test_stop)
def sum_up_test(environment: Environment, **_: Any) -> None:
    """With the web page, there may be several tests."""
    if environment.web_ui is not None:
        sum_up(environment, run)


@listen(events.quitting)
def sum_up_run(environment: Environment, **_: Any) -> None:
    """Without the web page, the run ends when the last worker processes have reported."""
    if environment.runner is None or isinstance(environment.runner, WorkerRunner):
        return
    if environment.runner.state in (STATE_SPAWNING, STATE_RUNNING):
        # SIGTERM: Locust would stop the users only after this, and purchases in flight cannot be judged.
        environment.runner.stop()
    if environment.web_ui is None:
        sum_up(environment, run)


if __name__ == "__main__":
    # Locust's own command line takes over this process; it loads this file again, as its locustfile.
    os.execv(sys.executable, [sys.executable, "-m", "locust", "-f", __file__, *sys.argv[1:]])  # noqa: S606 - our own interpreter and file
