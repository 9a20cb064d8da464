"""The benchmark runs: short here, because only that it works is of interest."""

from __future__ import annotations

import json
import sys

from tests.processes import Program


def test_a_short_run_measures_everything_and_keeps_the_sum_of_all_balances() -> None:
    options = ["--seconds", "0.2", "--clients", "3", "--accounts", "10", "--without-npm", "--json"]
    with Program([sys.executable, "-m", "benchmarks.sync_throughput", *options]) as program:
        assert program.wait() == 0, program.output
        report = json.loads(program.lines[-1])
    assert report["sum_is_kept"]
    rates = [*report["echo_rates"].values(), *report["transfer_rates"].values()]
    assert len(rates) == 5
    assert min(rates) > 0
    assert report["push"]["p50_ms"] <= report["push"]["p99_ms"]
