"""What one written key costs when few of many owners read it.

    python -m benchmarks.interval_map --help

The claim under test: a stab of `IntervalMap` costs what it finds, not how many others there are.
Three shapes of crowd stand around a handful of owners that are hit:

- other prefixes: every owner reads behind its own equality, as in "the tasks of one project";
- disjoint ranges: all read neighbouring pieces of one equality, as in pages of one list;
- one range: all read the same range, which the written key is not in.

The rival is a scan over a list of all ranges, the obvious way.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable, Sequence
from time import perf_counter_ns

from reactor.data.ids import InternalId
from reactor.data.interval_map import IntervalMap
from reactor.data.intervals import KeyRange
from reactor.data.keys import encode_key, prefix_range

INDEX = "by_project"
BUSY = "the busy project"
HITS = 3
SPAN = 100.0

Crowd = list[KeyRange]


def other_prefixes(count: int) -> Crowd:
    return [prefix_range(encode_key([f"project {number}"])) for number in range(count)]


def disjoint_ranges(count: int) -> Crowd:
    return [
        KeyRange(encode_key([BUSY, number * SPAN]), encode_key([BUSY, (number + 1) * SPAN]))
        for number in range(count)
    ]


def one_range(count: int) -> Crowd:
    return [KeyRange(encode_key([BUSY, -SPAN]), encode_key([BUSY, 0.0]))] * count


CROWDS: dict[str, Callable[[int], Crowd]] = {
    "other prefixes": other_prefixes,
    "disjoint ranges": disjoint_ranges,
    "one range": one_range,
}


def written_keys(count: int, stabs: int, source: random.Random) -> list[bytes]:
    """Keys in the busy project, spread over all that the disjoint ranges cover."""
    return [
        encode_key([BUSY, source.random() * count * SPAN, InternalId(source.randbytes(16))])
        for _ in range(stabs)
    ]


def filled(crowd: Crowd) -> tuple[IntervalMap[int], float]:
    """The map with the crowd and the few that are hit, and microseconds per range added."""
    owners: IntervalMap[int] = IntervalMap()
    for hit in range(HITS):
        owners.add(
            -1 - hit, INDEX, [KeyRange(encode_key([BUSY, 0.0]), encode_key([BUSY]) + b"\xff")]
        )
    began = perf_counter_ns()
    for owner, within in enumerate(crowd):
        owners.add(owner, INDEX, (within,))
    return owners, (perf_counter_ns() - began) / 1_000 / len(crowd)


def stab_microseconds(owners: IntervalMap[int], keys: Sequence[bytes], rounds: int) -> list[float]:
    """The mean microseconds of a stab in each round; the first, warming round is left out."""
    stab = owners.stab
    means = []
    for _ in range(rounds + 1):
        began = perf_counter_ns()
        for key in keys:
            stab(INDEX, key)
        means.append((perf_counter_ns() - began) / 1_000 / len(keys))
    return means[1:]


def scan_microseconds(crowd: Crowd, keys: Sequence[bytes]) -> float:
    """The rival: ask every range."""
    began = perf_counter_ns()
    for key in keys:
        [within for within in crowd if within.contains(key)]
    return (perf_counter_ns() - began) / 1_000 / len(keys)


def remove_microseconds(owners: IntervalMap[int], count: int, source: random.Random) -> float:
    leaving = source.sample(range(count), count)
    began = perf_counter_ns()
    for owner in leaving:
        owners.remove(owner)
    return (perf_counter_ns() - began) / 1_000 / count


def measure(name: str, count: int, stabs: int, rounds: int, seed: int) -> str:
    """One line of the table."""
    source = random.Random(seed)
    crowd = CROWDS[name](count)
    owners, add = filled(crowd)
    keys = written_keys(count, stabs, source)
    found = sum(len(owners.stab(INDEX, key)) for key in keys) / len(keys)
    times = stab_microseconds(owners, keys, rounds)
    scan = scan_microseconds(crowd, keys[:10])
    remove = remove_microseconds(owners, count, source)
    return (
        f"{name:<16} {count:>8,} {found:>6.1f} {min(times):>9.2f} {statistics.median(times):>9.2f} "
        f"{scan:>11.1f} {add:>9.2f} {remove:>9.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--owners",
        type=int,
        nargs="+",
        default=[100, 10_000, 100_000],
        help="sizes of the crowd (default: %(default)s)",
    )
    parser.add_argument(
        "--stabs", type=int, default=2_000, help="written keys per round (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=7, help="timed rounds, after one to warm up (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the written keys (%(default)s)")
    options = parser.parse_args()
    if min(*options.owners, options.stabs, options.rounds) < 1:
        parser.error("--owners, --stabs and --rounds must be at least 1")
    print("microseconds; 'scan' asks every range in turn")
    print(
        f"{'crowd':<16} {'owners':>8} {'hits':>6} {'stab min':>9} {'median':>9} "
        f"{'scan':>11} {'add':>9} {'remove':>9}"
    )
    for name in CROWDS:
        for count in options.owners:
            print(measure(name, count, options.stabs, options.rounds, options.seed), flush=True)


if __name__ == "__main__":
    main()
