"""Transfers per second and write-to-push latency over WebSocket, beside a bare echo server.

    python -m benchmarks.sync_throughput --help

Starts `reactor serve` on a DuckDB file in a temporary folder and the echo server of
`echo_server.py`, loads both from this process in the same way, one after the other, and prints the
numbers, their ratios and the machine. Everything stays on the loopback interface.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import measures
from tests.processes import NODE_FOLDER, REPOSITORY, NodeScript, Program, Server

BANK_APP = REPOSITORY / "benchmarks" / "bank"


@dataclass
class Report:
    """What was measured; `None` where it could not be."""

    machine: str
    echo_rates: dict[int, float] = field(default_factory=dict)
    transfer_rates: dict[str, float] = field(default_factory=dict)
    relay: measures.Latency | None = None
    push: measures.Latency | None = None
    sum_is_kept: bool = False


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each measurement")
    parser.add_argument("--clients", type=int, default=50, help="connections of the loaded runs")
    parser.add_argument("--accounts", type=int, default=1000, help="documents to transfer between")
    parser.add_argument("--store", default=None, help="store URL (default: a new DuckDB file)")
    parser.add_argument("--without-npm", action="store_true", help="leave out the npm client")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def machine_line(store: str) -> str:
    model = platform.processor() or platform.machine()
    with_model = Path("/proc/cpuinfo")
    if with_model.exists():
        names = [line for line in with_model.read_text().splitlines() if "model name" in line]
        model = names[0].partition(":")[2].strip() if names else model
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, store {store.partition(':')[0]}"
    )


@contextmanager
def echo_server() -> Iterator[str]:
    with Program([sys.executable, "-m", "benchmarks.echo_server"]) as program:
        line = program.wait_for_line(lambda line: line.startswith("ready "))
        yield program.lines[line].removeprefix("ready ")


async def measure_echo(options: argparse.Namespace, url: str, report: Report) -> None:
    for clients in (1, options.clients):
        report.echo_rates[clients] = await measures.echo_rate(url, clients, options.seconds)
    report.relay = await measures.relay_latency(url, options.seconds)


async def measure_transfers(options: argparse.Namespace, server: Server, report: Report) -> None:
    url, seconds = server.websocket_url, options.seconds
    accounts = await measures.open_accounts(url, options.accounts)
    for name, clients, in_flight in (
        ("1 client", 1, 1),
        ("1 client, 16 in flight", 1, 16),
        (f"{options.clients} clients", options.clients, 1),
    ):
        rate = await measures.transfer_rate(url, accounts, clients, in_flight, seconds)
        report.transfer_rates[name] = rate
    if not options.without_npm and (NODE_FOLDER / "node_modules" / "convex").is_dir():
        for name, in_flight in (("1 npm client", 1), ("1 npm client, 16 in flight", 16)):
            settings = {"accounts": accounts, "inFlight": in_flight, "seconds": seconds}
            report.transfer_rates[name] = await asyncio.to_thread(npm_rate, server.url, settings)
    report.push = await measures.push_latency(url, accounts, seconds)
    report.sum_is_kept = await measures.total_balance(url) == 1000.0 * options.accounts


def npm_rate(url: str, settings: dict[str, object]) -> float:
    with NodeScript("transfers", url, "transfers", **settings) as script:
        script.finish()
        return float(script.seen("rate")[0]["perSecond"])


def print_report(report: Report) -> None:
    print(report.machine)
    for clients, rate in report.echo_rates.items():
        print(f"{rate:10,.0f} /s  echo, {clients} client(s)")
    single, many = report.echo_rates.values()
    for name, rate in report.transfer_rates.items():
        base = single if name.startswith("1 ") else many
        print(f"{rate:10,.0f} /s  transfers, {name} (echo is {base / rate:.1f} times faster)")
    if report.relay is not None and report.push is not None:
        print(latency_line("relay to another socket", report.relay))
        ratio = report.push.p50_ms / report.relay.p50_ms
        print(latency_line("write to push", report.push) + f" ({ratio:.1f} times the relay)")
    print(f"sum of all balances kept: {'yes' if report.sum_is_kept else 'NO'}")


def latency_line(name: str, latency: measures.Latency) -> str:
    return f"{latency.p50_ms:7.2f} ms p50 {latency.p99_ms:7.2f} ms p99  {name}"


def main() -> int:
    options = arguments()
    folder = Path(tempfile.mkdtemp(prefix="reactor-benchmark-"))
    store = options.store or f"duckdb:///{folder / 'bank.duckdb'}"
    report = Report(machine_line(store))
    try:
        with echo_server() as url:
            asyncio.run(measure_echo(options, url, report))
        with Server(BANK_APP, store=store) as server:
            asyncio.run(measure_transfers(options, server, report))
    finally:
        shutil.rmtree(folder)
    if options.json:
        print(json.dumps(asdict(report)))
    else:
        print_report(report)
    return 0 if report.sum_is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
