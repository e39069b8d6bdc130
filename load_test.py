"""Load on a running shop, with Locust: visitors who look around, and buyers whose purchases are proved at the end.

    locust -f load_test.py                                             web page on http://localhost:8089
    python load_test.py --headless --users 100 --spawn-rate 20 --run-time 60s [--host URL] [Visitor] [Buyer]

All of Locust's options work in both. Nine of ten users are visitors: 40 % product lists, 25 % single products,
15 % categories, 10 % client lists and 10 % new products and clients; `--writes` sets that last share, and the others
keep their proportions. One of ten is a buyer: orders of three lines from a catalog that only this run knows, some sent
again under their key, some canceled or returned, with prices that change meanwhile. Everybody waits one to three
seconds between two of these. An empty shop is given a few rows first; the new rows stay.

The end of the run is the cache's hit rate, as all workers of the shop counted it in /metrics, what `--max-p95` and
`--min-hit-rate` ask for, and `oversold 0, lost 0, doubled 0`: what the API holds compared with every answer that a
buyer got. The exit code is not 0 when one of these is not 0, when a request failed, when the run did not reach what it
was asked for, or when the test could not be run.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable
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

RATE_LIMITED = (
    "The API limits the requests of this machine (429): the test measures the limiter, not the shop. Start the "
    "API with this machine's network in RATE_LIMIT_EXEMPT, for example RATE_LIMIT_EXEMPT=127.0.0.1/32,::1/128."
)


# Locust logs everything on standard error, where the requests that prepare the shop would drown the rest.
logging.getLogger("httpx").setLevel(logging.WARNING)

run = Run()


L = TypeVar("L", bound=Callable[..., None])


def listen(hook: EventHook) -> Callable[[L], L]:
    """Locust's `hook.add_listener` as a decorator that keeps the listener's type."""

    def register(listener: L) -> L:
        hook.add_listener(listener)  # type: ignore[no-untyped-call]  # Locust gives it no types
        return listener

    return register


def stop_test(environment: Environment, reason: str) -> None:
    """Say why, once, and end the test with a failure; the web page, if there is one, stays."""
    if environment.process_exit_code is not None or environment.runner is None:
        return
    print(reason, file=sys.stderr, flush=True)
    environment.process_exit_code = 1
    # From a greenlet of its own, since ending the test ends the one that found the reason.
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
        with http_client(environment) as http:
            Visitor.shop = prepare_shop(http)
            if Buyer in environment.user_classes:
                prepare_buyers(environment, http)
            if not isinstance(environment.runner, WorkerRunner):
                run.cache_before = cache_reads(http)
    except httpx.HTTPStatusError as error:
        limited = error.response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        reason = RATE_LIMITED if limited else f"The shop could not be prepared: {error}"
    except httpx.RequestError as error:
        reason = f"No shop answers at {environment.host or HOST} ({error})"
    else:
        return
    stop_test(environment, reason)
    # Locust goes on to start the users after any other exception; this one ends the starting, without a traceback.
    raise gevent.GreenletExit


def prepare_buyers(environment: Environment, http: httpx.Client) -> None:
    """Each process has a catalog and a client of its own; the master of several has no buyers."""
    if isinstance(environment.runner, MasterRunner):
        run.ledgers_due = environment.runner.worker_count
    else:
        Buyer.ledger = Ledger(create_catalog(http))
        run.ledgers_due = 1


@listen(events.init)
def handle_ctrl_c(environment: Environment, **_: Any) -> None:
    """Let Ctrl-C end a run as the end of its time does, and not wherever in the program it happens to strike."""
    assert environment.parsed_options is not None
    if isinstance(environment.runner, WorkerRunner) and environment.parsed_options.processes:
        # Not in the terminal's group any more: Ctrl-C is for the master, which tells when to stop.
        os.setpgrp()
    elif environment.runner is not None and environment.web_ui is None:
        quit_at_ctrl_c(environment.runner)


def quit_at_ctrl_c(runner: Runner) -> None:
    def quit_once() -> None:
        # A second Ctrl-C does not wait for anything.
        watcher.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Quitting alone would not wait for the worker processes to report.
        runner.stop()
        runner.quit()

    watcher = gevent.signal_handler(signal.SIGINT, quit_once)


@listen(events.init)
def watch_responses(environment: Environment, **_: Any) -> None:
    listen(environment.events.request)(partial(watch, environment))
    if environment.runner is not None and not isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message("ledger", receive_ledger)


def watch(environment: Environment, response: Any, **_: Any) -> None:
    """End the test at the first answer of the rate limiter."""
    if response is not None and response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        stop_test(environment, RATE_LIMITED)


@listen(events.test_stop)
def send_ledger(environment: Environment, **_: Any) -> None:
    """To the master, or to this process itself where it is the only one."""
    if run.ledgers_due and environment.runner is not None and not isinstance(environment.runner, MasterRunner):
        environment.runner.send_message("ledger", Buyer.ledger.as_message())


def receive_ledger(msg: Any, **_: Any) -> None:
    run.ledgers.append(Ledger.from_message(msg.data))


@listen(events.test_stop)
def sum_up_test(environment: Environment, **_: Any) -> None:
    """With the web page, several tests may follow each other."""
    if environment.web_ui is not None:
        sum_up(environment, run)


@listen(events.quitting)
def sum_up_run(environment: Environment, **_: Any) -> None:
    """Without it, the end of the run is also when the last worker processes have reported."""
    if environment.runner is None or isinstance(environment.runner, WorkerRunner):
        return
    if environment.runner.state in (STATE_SPAWNING, STATE_RUNNING):
        # SIGTERM: Locust would stop the users only after this, and what is still being bought cannot be judged.
        environment.runner.stop()
    if environment.web_ui is None:
        sum_up(environment, run)


if __name__ == "__main__":
    # Locust's own command line takes over this process; it loads this file again, as its locustfile.
    os.execv(sys.executable, [sys.executable, "-m", "locust", "-f", __file__, *sys.argv[1:]])  # noqa: S606 - our own interpreter and file
