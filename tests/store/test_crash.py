"""A process that is killed while it appends: everything acknowledged is there, once and whole."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from reactor.store.duckdb import DuckDBStore

ROUNDS = 8

#: Appends groups of commits and prints the newest timestamp of each group once it is acknowledged.
WRITER = """if True:
    import json, random, sys
    from pathlib import Path
    from reactor.data.ids import InternalId
    from reactor.store.base import Commit, DocumentWrite
    from reactor.store.duckdb import DuckDBStore

    rng = random.Random(int(sys.argv[2]))
    store = DuckDBStore(Path(sys.argv[1]))
    head = store.open()
    print("opened", head, flush=True)
    pause_seconds = rng.choice([0, 0, 0.002])
    while True:
        group, after = [], head
        size = rng.choice([1, 1, 3, 40])
        for _ in range(size):
            head += rng.randint(1, 3)
            count = rng.randint(1, 5)
            marks = {"group": [after, size], "of": count, "pad": "x" * rng.choice([0, 50, 3000])}
            group.append(Commit(head, tuple(
                DocumentWrite(7, InternalId(rng.randbytes(16)), json.dumps(marks).encode())
                for _ in range(count)
            )))
        store.append(group, after)
        print(head, flush=True)
        if pause_seconds:
            import threading
            threading.Event().wait(pause_seconds)
"""


def acknowledged_before_a_kill(path: Path, seed: int, lines: int) -> tuple[int, list[int]]:
    """Run the writer, kill it after it acknowledged `lines` groups; what it had said by then."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(seed)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        opened = process.stdout.readline()
        assert opened.startswith("opened"), opened
        said = [int(process.stdout.readline()) for _ in range(lines)]
        process.kill()
        said += [
            int(line) for line in process.stdout.read().splitlines(keepends=True) if "\n" in line
        ]
    return int(opened.split()[1]), said


@pytest.mark.timeout(120)
def test_a_killed_writer_loses_nothing_doubles_nothing_and_leaves_nothing_half(
    tmp_path: Path,
) -> None:
    seed = int(os.environ.get("REACTOR_TESTS_SEED", random.SystemRandom().randrange(2**32)))
    print(f"REACTOR_TESTS_SEED={seed}")
    rng = random.Random(seed)
    path = tmp_path / "d.duckdb"
    acknowledged: list[int] = []
    newest = 0
    for _ in range(ROUNDS):
        lines = rng.choice([0, 1, 5, 50, 300])
        opened, said = acknowledged_before_a_kill(path, rng.randrange(2**32), lines)
        assert opened >= newest, "the head went back"
        acknowledged += said
        if rng.random() < 0.5:  # otherwise the next writer recovers
            newest = check(path, acknowledged)
    check(path, acknowledged)


def check(path: Path, acknowledged: list[int]) -> int:
    store = DuckDBStore(path)
    head = store.open()
    seen: Counter[int] = Counter()
    groups: dict[tuple[int, int], int] = {}
    for commit in store.replay(0):
        seen[commit.ts] += 1
        documents = [json.loads(write.document or b"null") for write in commit.writes]
        assert all(document["of"] == len(documents) for document in documents), "half a commit"
        group = tuple(documents[0]["group"])
        groups[group] = groups.get(group, 0) + 1
    store.close()
    assert [ts for ts in acknowledged if ts not in seen] == [], "lost"
    assert [ts for ts, count in seen.items() if count > 1] == [], "doubled"
    assert [group for group, count in groups.items() if count != group[1]] == [], "half a group"
    assert head == max(seen, default=0)
    return head
