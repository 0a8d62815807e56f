"""What frames mean: entries that tell what a thread is blocked in, and profiles of the libraries behind them.

The data is TOML under ``data/``: one folder a runtime family, one file a family of entries. CONTRIBUTING.md explains
the fields, ``compile.py`` checks them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Generic, TypeVar

from threaddump.catalog import compile as compiler

DATA = Path(__file__).parent / "data"
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Entry:
    """One rule: frames that match it say what the thread does. Field by field as in the TOML."""

    id: str
    kind: str | None
    role: str
    priority: int
    match: tuple[str, ...]
    library: str | None = None
    system: str | None = None
    phase: str | None = None
    requires: tuple[str, ...] = ()
    forbids: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    max_depth: int | None = None
    timed: str | None = None
    timed_frames: tuple[str, ...] = ()
    untimed_frames: tuple[str, ...] = ()
    locals: tuple[dict[str, str], ...] = ()
    pool_object: tuple[dict[str, str], ...] = ()
    note: str | None = None
    profile: dict[str, Any] | None = None
    """Of the library, where the user's own rules bring one; ours are in ``libraries``."""


@dataclass(slots=True, frozen=True)
class ThreadNames:
    """Thread names of a well-known pool, and the role its threads have."""

    id: str
    role: str
    label: str
    size: int | None = None
    """The configured maximum, which only the user's own rules know."""


@cache
def glob_test(pattern: str) -> Callable[[str], object]:
    """A test for one glob; ``*`` stands for any run of characters and is the only wildcard."""
    if "*" not in pattern:
        return pattern.__eq__
    if pattern.endswith("*") and "*" not in pattern[:-1]:
        prefix = pattern[:-1]
        return lambda text: text.startswith(prefix)
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL).fullmatch


class Globs(Generic[T]):
    """Values found by globs: exact patterns by dict, the others by the first characters they fix."""

    def __init__(self, items: Iterable[tuple[str, T]], head: int) -> None:
        self._exact: dict[str, list[T]] = {}
        self._by_head: dict[str, list[tuple[str, T]]] = {}
        self._rest: list[tuple[str, T]] = []
        self._tests: dict[str, Callable[[str], object]] = {}
        self._head = head
        self._cache: dict[str, tuple[T, ...]] = {}
        for pattern, value in items:
            literal = pattern.partition("*")[0]
            if literal == pattern:
                self._exact.setdefault(pattern, []).append(value)
            elif len(literal) >= head:
                self._by_head.setdefault(literal[:head], []).append((pattern, value))
            else:
                self._rest.append((pattern, value))

    def find(self, text: str) -> tuple[T, ...]:
        """All values whose pattern matches, each once."""
        found = self._cache.get(text)
        if found is None:
            hits = list(self._exact.get(text, ()))
            near = chain(self._by_head.get(text[: self._head], ()), self._rest)
            hits += [value for pattern, value in near if self._test(pattern)(text)]
            found = tuple(dict.fromkeys(hits))
            if len(self._cache) > 200_000:
                self._cache.clear()
            self._cache[text] = found
        return found

    def _test(self, pattern: str) -> Callable[[str], object]:
        """Compiled when first needed: a dump meets few of the patterns."""
        test = self._tests.get(pattern)
        if test is None:
            self._tests[pattern] = test = glob_test(pattern)
        return test


class Prefixes:
    """Membership of a dotted name in a list of package prefixes."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        self._by_head: dict[str, list[str]] = {}
        for prefix in prefixes:
            self._by_head.setdefault(prefix.partition(".")[0], []).append(prefix)
        self._tuples = {head: tuple(found) for head, found in self._by_head.items()}

    def __contains__(self, name: str) -> bool:
        return name.startswith(self._tuples.get(name.partition(".")[0], ("\0",)))


class Catalog:
    """Entries and names of one runtime family, ready to match."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.entries = tuple(
            Entry(**{"kind": None} | {key: _frozen(value) for key, value in entry.items()}) for entry in data["entries"]
        )
        self.by_id = {entry.id: entry for entry in self.entries}
        # An entry for every frame ("*") is chosen by the thread's state, never by a frame.
        self.by_state = {state: entry for entry in self.entries if entry.match == ("*",) for state in entry.states}
        self.frames: Globs[Entry] = Globs(
            ((glob, entry) for entry in self.entries for glob in entry.match if glob != "*"), 6
        )
        self.platform = Prefixes(data.get("platform", ()))
        self.libraries = Prefixes(data.get("libraries", ()))
        self.library_names = frozenset(data.get("libraries", ()))
        self.proxies: Globs[str] = Globs(((glob, glob) for glob in data.get("proxies", ())), 6)
        self.request_frames: Globs[str] = Globs(((glob, glob) for glob in data.get("request_frames", ())), 6)
        self.thread_names: Globs[ThreadNames] = Globs(
            (
                (glob, ThreadNames(pool["id"], pool["role"], pool.get("label", pool["id"])))
                for pool in data.get("pool", ())
                for glob in pool["match"]
            ),
            3,
        )
        self.wait_lines = _wait_lines(data.get("waits", ()))
        self.wait_texts = {
            (f"{row['file']}:{row['function']}", text): field == "timed"
            for row in data.get("texts", ())
            for field in ("untimed", "timed")
            for text in row[field]
        }
        """Frame and printed source line to whether that line waits with a timeout."""
        # Of the user's own rules:
        self.profiles: dict[str, dict[str, Any]] = data.get("profiles", {})
        self.own_pools: Sequence[tuple[str, ThreadNames]] = data.get("own_pools", ())
        if self.profiles:
            for entry in self.entries:
                entry.profile = self.profiles.get(entry.library or "")


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _wait_lines(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, str], dict[int, bool]]:
    """(``threading.py:wait``, ``3.11``) to line number to whether that line waits with a timeout."""
    lines: dict[tuple[str, str], dict[int, bool]] = {}
    for row in rows:
        known = lines.setdefault((f"{row['file']}:{row['function']}", row["python"]), {})
        for field, timed in (("untimed", False), ("timed", True)):
            value = row.get(field, [])
            for line in value if isinstance(value, list) else [value]:
                known[line] = timed
    return lines


def _compiled(target: Path, paths: list[Path], build: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The compiled file if it belongs to the TOML beside it, else the TOML itself."""
    try:
        data: dict[str, Any] = json.loads(target.read_bytes())
    except (OSError, ValueError):
        return build()
    return data if data.get("checksum") == compiler.checksum(paths) else build()


@cache
def load(family: str) -> Catalog:
    """The catalog of a runtime family (``jvm``, ``python``); an empty one for a family without data."""
    return Catalog(data(family))


def data(family: str) -> dict[str, Any]:
    """What a ``Catalog`` is made of."""
    folder = DATA / family
    if not folder.is_dir():
        return {"entries": []}
    paths = compiler.sources(folder)
    return _compiled(DATA / f"{family}.json", paths, lambda: compiler.compiled_family(folder))


@cache
def libraries(family: str) -> dict[str, dict[str, Any]]:
    """Library profiles by key: timeouts with their defaults, pool sizes, what can be done at run time."""
    path = DATA / "libraries" / f"{family}.toml"
    if not path.is_file():
        return {}
    data = _compiled(path.with_suffix(".json"), [path], lambda: compiler.compiled_libraries(path))
    found: dict[str, dict[str, Any]] = data["libraries"]
    return found
