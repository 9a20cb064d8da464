"""Many owners' key ranges, and the question whose ranges hold a written key.

The inverse of many read sets: given one key that a commit wrote, `stab` finds the live queries that
read it. Its cost must not grow with owners that did not read it.

Two steps keep the others out of the way. First, a hash: nearly every range is read behind
equalities (`project == "x"`, then a range of times), so each range lives in the *home* of its
longest whole-field prefix, and a stab visits only the homes of the written key's own prefixes.
Second, inside a home, a balanced tree ordered by (start, end) in which every node knows the
greatest end below it; equal ranges share one node. A branch whose greatest end is not above the key
is skipped, and a node that starts above the key has nothing to offer on its right, so every branch
taken but one path leads to a hit.

**Why no range is ever missed.** The home of a range [start, end) is a prefix P with
    (a) P is `b""`, or `start[:n]` for an n among the `field_ends` of start (or of start less its
        last byte, since `> a` begins at a's key + ff and "after k" at k + 00), and
    (b) end <= P + ff.
Let key be a valid key with start <= key < end. P is a prefix of start, so P <= start <= key, and
by (b) key < P + ff. A string between P and P + ff begins with P: were it to differ from P at some
byte, it would be below P or, differing upwards, above P + ff. So key = P + rest. `field_ends` reads
from left to right and decides where a value ends from that value's bytes alone; by (a) its reading
of start passes n, and up to there it reads the same bytes in key. So n is among the `field_ends` of
key, and a stab, which visits `b""` and the prefix at each of them, visits P. Only key must be
valid: bounds that no encoder made just get a shorter home, `b""` at worst, which costs time and
never an answer.

**Why a strictly balanced (AVL) tree** and not a treap: bounds come from clients, and whoever can
compute the priorities of a treap can choose bounds that make it a list. Here depth stays below
1.45 log2(n) whatever is added, which also bounds the recursion, and nothing is random.

Invariants (`_check`): homes are as above and not empty; in each tree (start, end) ascends strictly,
sibling heights differ by at most one, heights and greatest ends are exact; each node has an owner;
the places noted for an owner are exactly the nodes that have it, once each.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Final, Generic, NamedTuple, TypeVar

from reactor.data.intervals import KeyRange
from reactor.data.keys import field_ends, prefix_range
from reactor.errors import InvalidValue

Owner = TypeVar("Owner", bound=Hashable)

_WHOLE_INDEX: Final = b""


class IntervalMap(Generic[Owner]):
    """Which owners hold a range around a key. Memory is O(ranges held now)."""

    __slots__ = ("_indexes", "_places")

    def __init__(self) -> None:
        self._indexes: dict[Hashable, dict[bytes, _Node[Owner]]] = {}
        self._places: dict[Owner, list[_Place[Owner]]] = {}

    def add(self, owner: Owner, index: Hashable, ranges: Iterable[KeyRange]) -> None:
        """Note that `owner` holds `ranges` of `index`, beside what it holds. O(log n) a range."""
        for within in ranges:
            if within.is_empty:
                continue
            homes = self._indexes.setdefault(index, {})
            home = _home_of(within)
            root = homes.get(home)
            node = _find(root, within)
            if node is None:
                node = _Node(within)
                homes[home] = _insert(root, node)
            if owner not in node.owners:
                node.owners.add(owner)
                self._places.setdefault(owner, []).append(_Place(index, home, node))

    def remove(self, owner: Owner) -> None:
        """Forget every range of `owner`; one that holds none is fine. O(log n) a range."""
        for index, home, node in self._places.pop(owner, ()):
            node.owners.remove(owner)
            if node.owners:
                continue
            homes = self._indexes[index]
            root = _delete(homes[home], node)
            if root is not None:
                homes[home] = root
                continue
            del homes[home]
            if not homes:
                del self._indexes[index]

    def stab(self, index: Hashable, key: bytes) -> set[Owner]:
        """The owners with a range of `index` that holds `key`, a key that `encode_key` made.

        O(fields of the key + (1 + distinct ranges hit) * log n in their homes).
        """
        found: set[Owner] = set()
        homes = self._indexes.get(index)
        if homes is None:
            return found
        root = homes.get(_WHOLE_INDEX)
        if root is not None:
            _collect(root, key, found)
        for end in field_ends(key):
            root = homes.get(key[:end])
            if root is not None:
                _collect(root, key, found)
        return found

    def __len__(self) -> int:
        """The number of owners that hold a range."""
        return len(self._places)

    def _check(self) -> None:
        """Assert the invariants of the module docstring. O(everything)."""
        held: set[tuple[Owner, Hashable, bytes, KeyRange]] = set()
        for index, homes in self._indexes.items():
            assert homes, index
            for home, root in homes.items():
                before: KeyRange | None = None
                for node in _walk(root):
                    node.check()
                    assert before is None or before < node.within, (before, node.within)
                    before = node.within
                    assert home == _home_of(node.within), (home, node.within)
                    assert node.owners, node.within
                    held.update((owner, index, home, node.within) for owner in node.owners)
        noted = [
            (owner, place.index_id, place.home, place.node.within)
            for owner, places in self._places.items()
            for place in places
        ]
        assert all(self._places.values())
        assert len(noted) == len(held)
        assert set(noted) == held


class _Node(Generic[Owner]):
    """One range, everyone who holds it, and the subtree below it."""

    __slots__ = ("end", "height", "left", "max_end", "owners", "right", "start")

    def __init__(self, within: KeyRange) -> None:
        self.start, self.end = within
        self.owners: set[Owner] = set()
        self.left: _Node[Owner] | None = None
        self.right: _Node[Owner] | None = None
        self.height = 1
        self.max_end = within.end

    @property
    def within(self) -> KeyRange:
        return KeyRange(self.start, self.end)

    def refresh(self) -> None:
        """Recompute what this node knows of its subtree from its children."""
        left, right = self.left, self.right
        height = 0
        max_end = self.end
        if left is not None:
            height = left.height
            max_end = max(max_end, left.max_end)
        if right is not None:
            height = max(height, right.height)
            max_end = max(max_end, right.max_end)
        self.height = height + 1
        self.max_end = max_end

    def check(self) -> None:
        assert abs(_height(self.left) - _height(self.right)) <= 1, self.within
        height, max_end = self.height, self.max_end
        self.refresh()
        assert (height, max_end) == (self.height, self.max_end), self.within


class _Place(NamedTuple, Generic[Owner]):
    """Where one range of an owner is kept."""

    index_id: Hashable
    home: bytes
    node: _Node[Owner]


def _home_of(within: KeyRange) -> bytes:
    """The longest prefix that satisfies (a) and (b) of the module docstring."""
    start, end = within
    for whole in (start, start[:-1]):
        try:
            ends = field_ends(whole)
        except InvalidValue:
            continue
        for size in reversed(ends):
            if end <= prefix_range(start[:size]).end:
                return start[:size]
        break
    return _WHOLE_INDEX


def _collect(root: _Node[Owner], key: bytes, found: set[Owner]) -> None:
    """Add to `found` the owners below `root` whose ranges hold `key`."""
    waiting: list[_Node[Owner]] = []
    node: _Node[Owner] | None = root
    while True:
        if node is None or node.max_end <= key:
            if not waiting:
                return
            node = waiting.pop()
        elif node.start > key:
            node = node.left
        else:
            if key < node.end:
                found |= node.owners
            if node.right is not None:
                waiting.append(node.right)
            node = node.left


def _find(root: _Node[Owner] | None, within: KeyRange) -> _Node[Owner] | None:
    """The node of exactly this range."""
    start, end = within
    node = root
    while node is not None:
        if start == node.start:
            if end == node.end:
                return node
            node = node.left if end < node.end else node.right
        else:
            node = node.left if start < node.start else node.right
    return None


def _insert(root: _Node[Owner] | None, node: _Node[Owner]) -> _Node[Owner]:
    """The root of the tree with `node`, whose range is not in it yet."""
    if root is None:
        return node
    if _precedes(node, root):
        root.left = _insert(root.left, node)
    else:
        root.right = _insert(root.right, node)
    return _balanced(root)


def _delete(root: _Node[Owner] | None, node: _Node[Owner]) -> _Node[Owner] | None:
    """The root of the tree without `node`; other nodes stay the objects that places point at."""
    assert root is not None, node.within
    if root is node:
        if root.left is None or root.right is None:
            return root.left or root.right
        successor, rest = _pop_first(root.right)
        successor.left, successor.right = root.left, rest
        return _balanced(successor)
    if _precedes(node, root):
        root.left = _delete(root.left, node)
    else:
        root.right = _delete(root.right, node)
    return _balanced(root)


def _pop_first(root: _Node[Owner]) -> tuple[_Node[Owner], _Node[Owner] | None]:
    """The least node, and the root of the tree without it."""
    if root.left is None:
        return root, root.right
    first, root.left = _pop_first(root.left)
    return first, _balanced(root)


def _precedes(node: _Node[Owner], other: _Node[Owner]) -> bool:
    return node.start < other.start or (node.start == other.start and node.end < other.end)


def _height(node: _Node[Owner] | None) -> int:
    return 0 if node is None else node.height


def _balanced(node: _Node[Owner]) -> _Node[Owner]:
    """The root of this subtree after at most two rotations; its children are balanced already."""
    left, right = node.left, node.right
    lean = _height(left) - _height(right)
    if lean > 1 and left is not None:
        if _height(left.left) < _height(left.right):
            node.left = _rotated_left(left)
        return _rotated_right(node)
    if lean < -1 and right is not None:
        if _height(right.right) < _height(right.left):
            node.right = _rotated_right(right)
        return _rotated_left(node)
    node.refresh()
    return node


def _rotated_left(node: _Node[Owner]) -> _Node[Owner]:
    top = node.right
    assert top is not None
    node.right, top.left = top.left, node
    node.refresh()
    top.refresh()
    return top


def _rotated_right(node: _Node[Owner]) -> _Node[Owner]:
    top = node.left
    assert top is not None
    node.left, top.right = top.right, node
    node.refresh()
    top.refresh()
    return top


def _walk(root: _Node[Owner] | None) -> Iterator[_Node[Owner]]:
    """All nodes in order."""
    if root is not None:
        yield from _walk(root.left)
        yield root
        yield from _walk(root.right)
