"""The report at the end of a load test: its figures, whether it reached its targets, and the verdict on the purchases."""

import sys
from dataclasses import dataclass, field

import httpx
from locust.env import Environment
from locust.stats import StatsEntry

from benchmarks.buyer import HOST, Buyer
from benchmarks.cache_hit_rate import CacheReads, read_cache_reads
from benchmarks.purchases import Ledger, Unresolved, Verdict, judge

FAULTS_SHOWN = 10


@dataclass(slots=True)
class Run:
    """One test in this process. `ledgers` are those of the buyers of all processes, once they have stopped."""

    ledgers: list[Ledger] = field(default_factory=list)
    ledgers_due: int = 0
    cache_before: CacheReads | None = None


def http_client(environment: Environment) -> httpx.Client:
    """A client with the credentials of the test."""
    return httpx.Client(base_url=environment.host or HOST, timeout=30, headers=Buyer.default_headers, trust_env=False)


def cache_reads(http: httpx.Client) -> CacheReads | None:
    """The cache counters of the shop; None, with a line that says why, if they cannot be read."""
    try:
        return read_cache_reads(http)
    except (httpx.HTTPError, ValueError) as error:
        print(f"The cache's hit rate stays unknown: {error}", file=sys.stderr, flush=True)
        return None


def sum_up(environment: Environment, run: Run) -> None:
    """Print the figures and the verdicts, which decide about the exit code."""
    total = environment.stats.total
    hit_rate = print_figures(environment, run, total)
    passed = [meets_targets(environment, total, hit_rate)]
    if run.ledgers_due:
        passed.append(is_sound(environment, run))
    if not all(passed):
        environment.process_exit_code = 1


def print_figures(environment: Environment, run: Run, total: StatsEntry) -> float | None:
    """Print the figures of the whole run. Returns the cache's hit rate in percent, if it is known."""
    p50, p95, p99 = (percentile(total, share) for share in (0.50, 0.95, 0.99))
    print(f"Requests: {total.num_requests:,} ({total.total_rps:.1f} per second), {total.num_failures:,} failed")
    print(f"Response times: p50 {p50} ms, p95 {p95} ms, p99 {p99} ms", flush=True)
    if run.cache_before is None:
        return None
    with http_client(environment) as http:
        after = cache_reads(http)
    if after is None:
        return None
    reads = after.since(run.cache_before)
    rate = "no cached reads" if reads.hit_rate is None else f"{reads.hit_rate:.1f} % of {reads.total:,.0f} reads"
    print(f"Cache hit rate: {rate}", flush=True)
    return reads.hit_rate


def percentile(total: StatsEntry, share: float) -> int:
    return total.get_response_time_percentile(share) or 0


def meets_targets(environment: Environment, total: StatsEntry, hit_rate: float | None) -> bool:
    """Print whether the run reached the targets of its options."""
    assert environment.parsed_options is not None
    max_p95, min_hit_rate = environment.parsed_options.max_p95, environment.parsed_options.min_hit_rate
    targets = []
    if max_p95 is not None:
        targets.append((f"p95 below {max_p95:g} ms", percentile(total, 0.95) < max_p95))
    if min_hit_rate is not None:
        targets.append((f"cache hit rate above {min_hit_rate:g} %", hit_rate is not None and hit_rate > min_hit_rate))
    for target, reached in targets:
        print(f"Target {target}: {'reached' if reached else 'MISSED'}", flush=True)
    return all(reached for _, reached in targets)


def is_sound(environment: Environment, run: Run) -> bool:
    """Print the verdict on the buyers' purchases."""
    try:
        verdict = judge_all(environment, run)
    except (httpx.HTTPError, Unresolved) as error:
        print(f"No verdict: {error}", file=sys.stderr, flush=True)
        return False
    print(
        f"Orders: {sum(len(ledger.orders) for ledger in run.ledgers):,} placed, "
        f"{sum(ledger.refused for ledger in run.ledgers):,} refused"
    )
    for fault in verdict.faults[:FAULTS_SHOWN]:
        print(fault)
    print(verdict, flush=True)
    return not verdict.faults


def judge_all(environment: Environment, run: Run) -> Verdict:
    """The verdict on the buyers of all processes."""
    if len(run.ledgers) < run.ledgers_due:
        raise Unresolved(f"{run.ledgers_due - len(run.ledgers)} of {run.ledgers_due} processes did not report")
    total = Verdict()
    with http_client(environment) as http:
        for ledger in run.ledgers:
            total.add(judge(http, ledger))
    return total
