"""The words of a report, shared by the terminal and Markdown: how a kind, a wait, an owner or a chain is said.

Everything returned here is clean (see ``text.clean``) and carries no markup; renderers add their own escaping.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from threaddump.naming import last_segments
from threaddump.report import (
    OF_SOURCE,
    SEVERITIES,
    Chain,
    ContendedLock,
    Deadlock,
    DumpReport,
    Evidence,
    Finding,
    Group,
    Report,
    Severity,
    ThreadContainer,
    Waiting,
    WaitNode,
    endpoint_words,
)
from threaddump.reports.text import Line, Segment, cells, clean, clip, hang, plural, shorten, wrap
from threaddump_parsers.model import Problem

T = TypeVar("T")

KINDS = {
    "external-call": "external call",
    "pool-wait": "pool wait",
    "lock-wait": "lock wait",
    "sync-wait": "sync wait",
    "queue-put": "queue put",
    "io": "file i/o",
    "sleep": "sleep",
    "running": "running",
    "unknown": "unknown",
    "idle": "idle",
    "runtime": "runtime",
}
"""Kinds in the order in which they worry an engineer."""
QUIET_KINDS = ("idle", "runtime")
"""Kinds with nothing to tell: summed up in one line."""
COMPACT: tuple[Severity, ...] = ("low", "info")
"""Severities whose findings take one line."""
_MILD_KINDS = ("sleep", "running", "unknown")
WAITING_KINDS = tuple(kind for kind in KINDS if kind not in (*QUIET_KINDS, *_MILD_KINDS))
"""Kinds of threads that wait for something that somebody owes them."""

_PHASES = {
    "read": "waiting for the response",
    "read-body": "reading a body",
    "request": "in a request",
    "execute": "executing a statement",
    "metadata": "waiting for the metadata of a topic",
    "connect": "connecting",
    "resolve": "looking up a host name",
    "handshake": "in the TLS handshake",
    "login": "connected, waiting for the first answer",
    "write": "sending",
    "send": "sending",
    "receive": "waiting for a message",
    "poll": "polling",
    "select": "waiting for the network",
    "backoff": "pausing before a retry",
    "throttle": "held back by a rate limit",
}
_POOL_PHASES = {"acquire", "lease", "borrow", "get"}
_TIMED_KINDS = {"external-call", "pool-wait", "sync-wait", "queue-put"}
_PARTNER_KINDS = {"external-call", "pool-wait"}
"""Kinds where the library is news; who implements a monitor, a file or a sleep is not."""
_UNKNOWN_MATTERS = {"external-call", "pool-wait"}
_DOING = {
    "external-call": "is in an external call",
    "pool-wait": "waits for a pool slot itself",
    "lock-wait": "waits for a lock itself",
    "sync-wait": "waits for another thread",
    "queue-put": "is stuck at a full queue",
    "io": "is in file or pipe i/o",
    "sleep": "sleeps",
    "running": "is running",
    "idle": "is idle",
    "runtime": "does work of the runtime",
}
_LOCK_TYPES = {"synchronizer": "j.u.c. lock", "class-init": "class initialisation", "gil": "GIL", "other": "lock"}
_CYCLES = {
    "monitor": "monitors",
    "synchronizer": "j.u.c. locks",
    "mixed": "monitors and j.u.c. locks",
    "class-init": "class initialisation",
    "virtual": "virtual threads",
    "executor": "an executor that waits for its own tasks",
    "python": "Python locks",
}
_SAID_STATES = frozenset({"select", "chan receive", "syscall", "waiting", "semacquire", "coroutine"})
"""Wait reasons of Go that say more than that the kind is unknown."""
_PACKAGE = re.compile(r"(?<![\w.$/])(?:[a-z_][a-z0-9_]{0,60}\.){2,20}(?=[A-Z][\w$]*)")
_NAME_WIDTH = 48
_MAX_DEPTH = 8
_ROOT = "<root>"
_SHARED = "jdk.internal.vm.SharedThreadContainer"
"""Of pools that the JDK or an executor of fork-join threads keeps: carriers of virtual threads, the common pool."""
_MAX_LEVELS = 100
"""Containers further down are in the JSON report only."""
"""Levels of a wait tree on show; what is deeper is counted."""
FULL_DUMPS = 3
"""Up to this many dumps are shown in full; of more, the worst ones."""
LISTED_DUMPS = 100


# What a thread is doing.


def kind_words(kind: str) -> str:
    """The kind as people read it."""
    return KINDS.get(kind) or clean(kind, 40)


def phase_words(kind: str, phase: str | None) -> str | None:
    """What the thread waits for within its call."""
    if phase is None:
        return None
    if kind == "pool-wait":
        return "waiting for a free slot" if phase in _POOL_PHASES else clean(phase, 40)
    if kind == "external-call":
        return _PHASES.get(phase) or clean(phase, 40)
    return None


def timeout_words(kind: str, phase: str | None, timed: bool | None) -> str | None:
    """Whether the wait ends by itself; None where that is no question."""
    if timed:
        return "with a timeout" if kind in _TIMED_KINDS or kind == "lock-wait" else None
    if timed is None:
        return "timeout unknown" if kind in _UNKNOWN_MATTERS else None
    if kind == "external-call" and phase in ("read", "write", "connect"):
        return f"no {phase} timeout"
    return "no timeout" if kind in _TIMED_KINDS else None


def minutes_words(waiting: Waiting, count: int) -> str:
    """``waiting 3 minutes or more``, ``28 of 30 waiting 3 to 17 minutes or more``."""
    low, high = round(waiting.min_ms / 60_000), round(waiting.max_ms / 60_000)
    minutes = f"{low} to {high} minutes" if high > low else plural(low, "minute")
    some = f"{waiting.threads} of {count} " if waiting.threads < count else ""
    return f"{some}waiting {minutes} or more"


def short_class(name: str) -> str:
    """A class without its package; a product's name (``Apache HttpClient 4.x``) stays as it is."""
    if " " in name:
        return clean(name, 200)
    return clean(re.split(r"[./]", name)[-1] or name, 200)


def without_packages(text: str) -> str:
    """Cleaned prose with the packages of JVM classes taken out: the stacks and the JSON have them."""
    return _PACKAGE.sub("", text)


def _segments_of(full: str, count: int) -> str:
    path, colon, function = full.rpartition(":")
    if colon and path:
        return ":".join(("/".join(re.split(r"[/\\]", path)[-count:]), function))
    return last_segments(full, count)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Map full frame names to ``Class.method`` or ``folder/file.py:function``; longer where two would be equal."""
    result: dict[str, str] = {}
    rest = set(names)
    for count in (2, 3, 4, 5):
        takers: dict[str, list[str]] = {}
        for full in rest:
            takers.setdefault(_segments_of(full, count), []).append(full)
        for short, fulls in takers.items():
            if len(fulls) == 1 and not short.startswith("<"):
                result[fulls[0]] = clean(short, 300)
                rest.discard(fulls[0])
        if not rest:
            break
    return result | {full: clean(full, 300) for full in rest}


def thread_words(name: str, line: int | None = None) -> str:
    """A thread's name in quotes, and where to find it in the input."""
    quoted = f'"{shorten(clean(name), _NAME_WIDTH)}"'
    return f"{quoted} line {line}" if line else quoted


def nodes_of(chain: Chain) -> Iterator[WaitNode]:
    """All nodes of a chain's tree, in no particular order."""
    todo = list(chain.tree)
    while todo:
        node = todo.pop()
        yield node
        todo.extend(node.children)


def threads_below(nodes: Iterable[WaitNode]) -> int:
    """Threads in these nodes and in all below them."""
    total, todo = 0, list(nodes)
    while todo:
        node = todo.pop()
        total += node.count
        todo.extend(node.children)
    return total


@dataclass(frozen=True, slots=True)
class _Cut:
    """What a tree leaves out at one place."""

    threads: int
    words: str


_Branch = tuple[WaitNode | _Cut, str, bool, int]
"""A node, the lines drawn left of it, whether it is the last of its level, and the level."""


@dataclass(slots=True)
class Crowd:
    """Containers of one kind with the same parent whose threads do the same."""

    name: str
    containers: list[ThreadContainer]
    children: list[Crowd]
    doing: Counter[str]
    """Group id to threads."""

    @property
    def threads(self) -> int:
        return self.doing.total()


def container_crowds(dump: DumpReport) -> list[Crowd]:
    """The containers worth a look: task scopes, executors at work, and those that have such ones below them.

    Left out are ``<root>``, the carriers and pools of the JDK itself, and what is idle or of the runtime.
    """
    children: dict[str | None, list[ThreadContainer]] = defaultdict(list)
    names = {container.name for container in dump.containers}
    for container in dump.containers:
        if container.name != _ROOT:
            known = container.parent in names and container.parent not in {_ROOT, container.name}
            children[container.parent if known else None].append(container)
    # From the top down, then joined from the bottom up: without recursion, however deep the scopes are.
    levels = [[(container, children.pop(container.name, [])) for container in children.pop(None, [])]]
    while levels[-1] and len(levels) < _MAX_LEVELS:
        below = [container for _, inside in levels[-1] for container in inside]
        levels.append([(container, children.pop(container.name, [])) for container in below])
    crowds: dict[int, Crowd | None] = {}
    for level in reversed(levels):
        for container, inside in level:
            found = [crowd for one in inside if (crowd := crowds.get(id(one))) is not None]
            crowds[id(container)] = _crowd(container, _joined(found))
    return _joined([crowd for container, _ in levels[0] if (crowd := crowds[id(container)]) is not None])


def _crowd(container: ThreadContainer, inside: list[Crowd]) -> Crowd | None:
    """A container as a crowd of its own; None where it says nothing."""
    works = any(kind not in QUIET_KINDS for kind in container.by_kind) and _SHARED not in container.name
    if not inside and not works and not (container.owner is not None and container.threads):
        return None
    name = container.name.rpartition("@")[0] or container.name
    name = short_class(name).removesuffix("Impl") if "/" not in name else name.partition("/")[0]
    return Crowd(name, [container], inside, Counter(container.groups))


def _joined(crowds: Iterable[Crowd]) -> list[Crowd]:
    """Equal ones as one, the biggest first."""
    found: dict[object, Crowd] = {}
    for crowd in crowds:
        below = frozenset((child.name, frozenset(child.doing)) for child in crowd.children)
        key = (crowd.name, frozenset(crowd.doing), bool(crowd.containers[0].owner), below)
        known = found.setdefault(key, crowd)
        if known is not crowd:
            known.containers += crowd.containers
            known.doing += crowd.doing
            known.children = _joined([*known.children, *crowd.children])
    return sorted(found.values(), key=lambda crowd: -crowd.threads)


def _containers_below(crowd: Crowd) -> int:
    below = list(crowd.children)
    for child in below:  # grows while we walk it
        below += child.children
    return sum(len(child.containers) for child in below)


class Phrases:
    """Says things about one dump: knows its groups and locks, and which short names are unambiguous in it."""

    def __init__(self, dump: DumpReport) -> None:
        self.dump = dump
        self.groups = {group.id: group for group in dump.groups}
        self._lock_classes = {lock.id: lock.class_name for lock in dump.locks}
        names: set[str | None] = set()
        for group in dump.groups:
            names.update((group.caller, group.blocking_frame))
        for lock in dump.locks:
            if lock.owner:
                names.update((lock.owner.caller, lock.owner.blocking_frame))
        for chain in dump.chains:
            names.update((chain.root.caller, chain.root.blocking_frame))
            names.update(node.caller for node in nodes_of(chain))
        self._short = short_names(name for name in names if name)

    def frame(self, full: str) -> str:
        """A frame's short name."""
        return self._short.get(full) or clean(full, 300)

    def place(self, caller: str | None, blocking_frame: str | None) -> str:
        """Where threads are: the application's own frame if there is one."""
        full = caller or blocking_frame
        return self.frame(full) if full else "(no frames)"

    def lock(self, lock_id: str | None, class_name: str | None = None) -> str:
        """A lock by class and id; ids stay whole so that they can be searched for."""
        class_name = class_name or self._lock_classes.get(lock_id or "")
        if lock_id and lock_id.startswith(OF_SOURCE) and class_name:
            return clean(short_class(class_name), 200)  # its id is ours, and not in the input
        if lock_id and not class_name:
            class_name, _, lock_id = lock_id.rpartition(" ")
        if lock_id and (class_name or "").endswith(f" {lock_id}"):
            lock_id = None  # told by the coroutine that takes it, which has no file
        parts = (short_class(class_name) if class_name else "", clean(lock_id or "", 200))
        return " ".join(part for part in parts if part) or "a lock"

    def lock_title(self, lock: ContendedLock) -> str:
        """A contended lock with its type."""
        return f"{self.lock(lock.id, lock.class_name)}, {_LOCK_TYPES.get(lock.type) or clean(lock.type, 40)}"

    def owner(self, lock: ContendedLock) -> list[Segment]:
        """Who owns a lock and what the owner is doing, or why that is not known; to be read after "owner"."""
        owner = lock.owner
        if owner is None:
            why = f": {without_packages(clean(lock.owner_unknown))}" if lock.owner_unknown else ""
            return [("unknown", "strong"), (why, "")]
        segments: list[Segment] = [(thread_words(owner.thread, owner.line), "thread")]
        if owner.evidence != "reported":
            segments.append((f" ({owner.evidence})", "dim"))
        place = self.place(owner.caller, owner.blocking_frame) if owner.caller or owner.blocking_frame else None
        segments.append(
            (" " + (_DOING.get(owner.kind) or ("is in" if place else "does not show what it does")), "strong")
        )
        if place:
            segments += [(": " if owner.kind in _DOING else " ", ""), (place, "frame")]
        if owner.integration and owner.kind in _PARTNER_KINDS:
            segments.append((f", {clean(owner.integration.name)}", ""))
        return segments

    def notes(self, group: Group) -> list[str]:
        """What else is to say about a group: library, phase, timeout, lock, the frame below the caller."""
        notes: list[str | None] = []
        partner = (group.kind == "pool-wait" and group.pool) or group.integration or group.pool
        if group.kind not in _PARTNER_KINDS:
            partner = None
        phase = phase_words(group.kind, group.phase)
        if group.kind == "pool-wait" and partner and phase == "waiting for a free slot":
            notes.append(f"{phase} of {clean(partner.name)}")
        else:
            notes += [clean(partner.name) if partner else None, phase]
        if group.kind == "lock-wait":
            notes.append(self.lock(group.lock) if group.lock else None)
        elif group.kind != "sleep" and not partner and group.blocking_frame not in (None, group.caller):
            notes.append(f"in {self.frame(group.blocking_frame)}" if group.caller and group.blocking_frame else None)
        notes.append(timeout_words(group.kind, group.phase, group.timed))
        if group.endpoints:
            notes.append(f"to {clean(endpoint_words(group.endpoints))}")
        if group.kind == "unknown" and set(group.states) & _SAID_STATES:
            notes.append(clean(", ".join(group.states), 60))
        if group.waiting is not None:
            notes.append(minutes_words(group.waiting, group.count))
        if group.inferred:
            notes.append(clean(group.inferred))
        if group.kind == "running" and group.cpu_ms is not None and math.isfinite(group.cpu_ms):
            notes.append(f"cpu {group.cpu_ms / 1000:.1f} s")
        return [note for note in notes if note]

    def chain_lines(self, chain: Chain, width: int, top: int) -> list[Line]:
        """A root and the threads behind it, as a tree."""
        root = chain.root
        line = root.lines[0] if root.lines else None
        head = self._crowd(root.threads, line, root.kind, root.caller, root.blocking_frame)
        if any(set(root.threads) == set(deadlock.threads) for deadlock in self.dump.deadlocks):
            head = [(plural(root.count, "thread"), "count"), (" in a deadlock, see above", "")]
        extra = (
            clean(root.integration.name) if root.integration and root.kind in _PARTNER_KINDS else None,
            phase_words(root.kind, root.phase),
            timeout_words(root.kind, root.phase, root.timed),
        )
        # The group's own row says these too: here only where they cost no line.
        notes: Line = [(", ".join(note for note in extra if note), "dim")]
        if notes[0][0] and len(wrap([*head, (", ", ""), *notes], width)) == 1:
            head += [(", ", ""), *notes]
        lines = hang([], head, width, 0)
        todo = self._children(chain.tree, "", 1, top)
        room = top * 2
        while todo:
            node, prefix, last, depth = todo.pop()
            if top > 0 and not room and isinstance(node, WaitNode) and (todo or node.children):
                rest: list[WaitNode | _Cut] = [node, *(item[0] for item in todo)]
                waiting = sum(item.threads if isinstance(item, _Cut) else threads_below([item]) for item in rest)
                lines.append([(f"... {plural(waiting, 'more thread')} behind these", "dim")])
                break
            room -= 1
            label: Line = [(prefix + ("└─ " if last else "├─ "), "tree")]
            below = prefix + ("   " if last else "│  ")
            body = self._node(node) if isinstance(node, WaitNode) else [(node.words, "dim")]
            for number, wrapped in enumerate(hang(label, body, width, cells(below))):
                lines.append(wrapped if number == 0 else [(below, "tree"), *wrapped[1:]])
            if isinstance(node, WaitNode) and node.children:
                todo += self._children(node.children, below, depth + 1, top)
        return lines

    def _children(self, nodes: Sequence[WaitNode], prefix: str, depth: int, top: int) -> list[_Branch]:
        """The next level of a tree, last child first as a stack wants it; what is not shown is counted."""
        shown: list[WaitNode | _Cut]
        if depth > _MAX_DEPTH:
            below = threads_below(nodes)
            shown = [_Cut(below, f"... {plural(below, 'more thread')} further down")]
        else:
            kept, cut = cap(nodes, top)
            shown = list(kept)
            if cut:
                below = threads_below(cut)
                shown.append(_Cut(below, f"... {plural(len(cut), 'more group')}, {plural(below, 'thread')}"))
        return [(node, prefix, number == len(shown) - 1, depth) for number, node in enumerate(shown)][::-1]

    def _crowd(
        self, threads: Sequence[str], line: int | None, kind: str, caller: str | None, blocking_frame: str | None
    ) -> list[Segment]:
        """How many threads, of what kind, and where; a single thread by name."""
        if len(threads) == 1:
            who: list[Segment] = [(thread_words(threads[0], line), "thread"), (", ", "")]
        else:
            who = [(str(len(threads)), "count"), (" x ", "")]
        return [*who, (kind_words(kind), ""), (" ", ""), (self.place(caller, blocking_frame), "frame")]

    def _node(self, node: WaitNode) -> list[Segment]:
        group = self.groups.get(node.group)
        line = group.lines[group.threads.index(node.threads[0])] if group and _alone_in(node, group) else None
        blocking_frame = group.blocking_frame if group else None
        segments = self._crowd(node.threads, line, node.kind, node.caller, blocking_frame)
        if node.kind == "pool-wait" and group and (group.pool or group.integration):
            partner = group.pool or group.integration
            segments.append((f", a slot of {clean(partner.name)}" if partner else "", ""))
        elif node.lock or node.lock_class:
            segments.append((f", {self.lock(node.lock, node.lock_class)}", ""))
        if node.evidence != "reported":
            reason = f": {without_packages(clean(node.reason))}" if node.reason else ""
            segments.append((f" ({node.evidence}{reason})", "dim"))
        return segments

    def container_lines(self, width: int, top: int) -> list[Line]:
        """The containers worth a look as a tree: who opened them, and what their threads do."""
        lines: list[Line] = []
        todo = [(node, "", "", 0) for node in reversed(self._capped(container_crowds(self.dump), top))]
        while todo:
            crowd, label, below, depth = todo.pop()
            body = self._container(crowd, top) if isinstance(crowd, Crowd) else [(crowd, "dim")]
            for number, wrapped in enumerate(hang([(label, "tree")] if label else [], body, width, cells(below))):
                lines.append(wrapped if number == 0 or not below else [(below, "tree"), *wrapped[1:]])
            if not isinstance(crowd, Crowd):
                continue
            kept = self._capped(crowd.children, top)
            if depth >= _MAX_DEPTH and kept:
                kept = [f"... {plural(_containers_below(crowd), 'more container')} further down"]
            for number, child in reversed([*enumerate(kept)]):
                last = number == len(kept) - 1
                todo.append((child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), depth + 1))
        return lines

    def _capped(self, crowds: Sequence[Crowd], top: int) -> list[Crowd | str]:
        kept, cut = cap(crowds, top)
        rest = sum(len(crowd.containers) for crowd in cut)
        return [*kept, *([f"... {plural(rest, 'more container')}"] if cut else [])]

    def _container(self, crowd: Crowd, top: int) -> list[Segment]:
        owners = [one for one in crowd.containers if one.owner is not None]
        count = len(crowd.containers)
        segments: list[Segment] = [(f"{count} x ", "count")] if count > 1 else []
        segments.append((clean(crowd.name, 100), "strong"))
        if owners:
            segments.append((" owned by ", ""))
            segments.append((thread_words(owners[0].owner or "", owners[0].owner_line), "thread"))
            segments.append((f" and {len(owners) - 1} more" if len(owners) > 1 else "", ""))
        segments.append((f": {plural(crowd.threads, 'thread')}", ""))
        doing = [(self.groups[id], count) for id, count in crowd.doing.most_common()]
        kept, cut = cap(doing, top)
        for number, (group, threads) in enumerate(kept):
            segments += [(", " if number else ": ", ""), (str(threads), "count"), (f" {kind_words(group.kind)} ", "")]
            segments.append((self.place(group.caller, group.blocking_frame), "frame"))
        if cut:
            segments.append((f", {sum(threads for _, threads in cut)} more", "dim"))
        return segments

    def deadlock_lines(self, deadlock: Deadlock, width: int, top: int) -> list[Line]:
        """A cycle: who waits for what, owned by whom."""
        known = {"reported": "found from the owners in the dump", "inferred": "inferred", "mixed": "partly inferred"}
        source = "the JVM" if self.dump.family == "jvm" else "the runtime"
        how = f"reported by {source}" if deadlock.reported_by_runtime else known[deadlock.evidence]
        waits = "waits" if deadlock.behind == 1 else "wait"
        behind = f"; {plural(deadlock.behind, 'more thread')} {waits} behind it" if deadlock.behind else ""
        cycle = f"in a cycle of {_CYCLES.get(deadlock.type) or clean(deadlock.type, 40)}"
        if deadlock.type == "python" and not deadlock.locks:
            cycle = "in a cycle of tasks that await each other"
            how = how if deadlock.reported_by_runtime else "found from what the dump says they await"
        title = f"{plural(len(deadlock.threads), 'thread')} {cycle}, {how}{behind}"
        lines = hang([], [(title, "strong")], width, 0)
        kept, cut = cap(deadlock.threads, max(top, 2))
        for number, name in enumerate(kept):
            place = deadlock.lines[number] if number < len(deadlock.lines) else None
            lock = deadlock.locks[number] if number < len(deadlock.locks) else None
            body: list[Segment] = [(thread_words(name, place), "thread"), (" waits for", "")]
            body.append((f" {self.lock(lock)}, owned by", "") if lock else ("", ""))
            lines += hang([("  ", "")], body, width, 2)
        if cut:
            lines += hang([("  ", "")], [(f"... {plural(len(cut), 'more thread')} of the cycle", "dim")], width, 2)
        if deadlock.threads:
            lines += hang([("  ", "")], [(thread_words(deadlock.threads[0]), "thread")], width, 2)
        return lines


def _alone_in(node: WaitNode, group: Group) -> bool:
    return len(node.threads) == 1 and node.threads[0] in group.threads and len(group.lines) == len(group.threads)


# Order and selection.


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table of groups: one group, or single threads at one place that want different locks."""

    kind: str
    place: str | None
    count: int
    notes: str
    reason: str
    """What would show whether there is a timeout; empty where that is known."""


def rows_of(groups: Sequence[Group], phrases: Phrases) -> list[Row]:
    """The groups as rows of a table, in their order."""
    alone: dict[str | None, list[Group]] = {}
    for group in groups:
        if group.kind == "lock-wait" and group.count == 1:
            alone.setdefault(group.caller or group.blocking_frame, []).append(group)
    rows = []
    for group in groups:
        place = group.caller or group.blocking_frame
        count, notes = group.count, ", ".join(phrases.notes(group))
        if group.kind == "lock-wait" and group.count == 1 and len(alone[place]) > 1:
            if group is not alone[place][0]:
                continue
            count, notes = len(alone[place]), f"each for another lock: {len(alone[place])} locks"
        reason = clean(group.timed_reason) if group.timed is None and notes and group.kind in _TIMED_KINDS else ""
        rows.append(Row(group.kind, place, count, notes, reason))
    return sorted(rows, key=lambda row: (_mildness(row.kind), -row.count))


def main_locks(dump: DumpReport, top: int) -> tuple[list[ContendedLock], int]:
    """Contended locks, most wanted first, and how many are left out because the chains or deadlocks tell it all.

    That is so for a lock with a single thread waiting, and for a pool, whose slots have no owner to name.
    """
    waits = [node for chain in dump.chains for node in nodes_of(chain)]
    alone = {node.lock for node in waits if node.count == 1}
    alone.update(lock for deadlock in dump.deadlocks for lock in deadlock.locks)
    anyhow = {node.lock for node in waits}

    def told(lock: ContendedLock) -> bool:
        if lock.type == "pool" and lock.owner is None:
            return lock.id in anyhow
        names = (lock.id, lock.class_name if lock.id.startswith(OF_SOURCE) else f"{lock.class_name} {lock.id}")
        return len(lock.waiting) == 1 and not alone.isdisjoint(names)

    locks = sorted(dump.locks, key=lambda lock: -len(lock.waiting))
    kept = [lock for lock in locks if top <= 0 or not told(lock)]
    return kept, len(locks) - len(kept)


def main_locks_words(untold: int) -> str:
    """What ``main_locks`` has left out."""
    return f"{plural(untold, 'more lock')}: see the chains and deadlocks"


def cap(items: Sequence[T], top: int) -> tuple[Sequence[T], Sequence[T]]:
    """The first ``top`` items and the rest; never leaves out a single one, that line is better spent on it.

    A ``top`` of zero or less means all.
    """
    if top <= 0 or len(items) <= top + 1:
        return items, items[:0]
    return items[:top], items[top:]


def is_waiting(group: Group) -> bool:
    """The threads of the group wait for something that somebody owes them."""
    return group.kind in WAITING_KINDS


def group_rank(group: Group) -> tuple[int, int]:
    """Sort key: groups that wait for something first, quiet ones last, large ones before small ones."""
    return _mildness(group.kind), -group.count


def _mildness(kind: str) -> int:
    return 2 if kind in QUIET_KINDS else 1 if kind in _MILD_KINDS else 0


def loud_groups(dump: DumpReport) -> list[Group]:
    """Groups worth a line of their own, worst first."""
    return sorted((group for group in dump.groups if group.kind not in QUIET_KINDS), key=group_rank)


def quiet_words(dump: DumpReport) -> str:
    """The quiet kinds with their counts, on one line; empty where there are none."""
    return " · ".join(f"{KINDS[kind]} {dump.by_kind[kind]}" for kind in QUIET_KINDS if dump.by_kind.get(kind))


def findings_of(dump: DumpReport) -> list[Finding]:
    """The dump's findings, worst first."""
    return sorted(dump.findings, key=lambda finding: SEVERITIES.index(finding.severity))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dumps are shown in full, and which on one line each before them."""

    full: list[DumpReport]
    listed: list[DumpReport]
    unlisted: int
    rest: int
    """Dumps that are not shown in full."""


def select(report: Report) -> Selection:
    """Choose the dumps to show in full: of a series the last one, of tiers the one to act on.

    What they say together is shown before it.
    """
    earlier = {dump for series in report.series for dump in series.dumps[:-1]}
    if len(report.dumps) <= FULL_DUMPS and not earlier and not report.tiers:
        return Selection(report.dumps, [], 0, 0)

    def badness(dump: DumpReport) -> tuple[int, int]:
        first = findings_of(dump)[0]
        return SEVERITIES.index(first.severity), -first.threads

    serious = [d for d in report.dumps if not is_calm(d) and d.duplicate_of is None and d.id not in earlier]
    full = sorted(serious, key=badness)[:FULL_DUMPS]
    if report.tiers:
        # The cascade has told of each tier: in full only where to act, for the dumps above it show waiters.
        last = [report.cascades[0].tiers[-1]]
        of_end = [dump for tier in report.tiers if tier.service in last for dump in serious if dump.id in tier.dumps]
        full = sorted(of_end, key=badness)[:1] or full[:1]
    listed = report.dumps[:LISTED_DUMPS]
    return Selection(full, listed, len(report.dumps) - len(listed), len(report.dumps) - len(full))


def selection_words(report: Report, selection: Selection) -> str:
    """How many dumps there are and how bad they are."""
    copies = sum(dump.duplicate_of is not None for dump in report.dumps)
    worst = Counter(dump.worst for dump in report.dumps if dump.duplicate_of is None)
    parts = [f"{worst[severity]} {severity}" for severity in SEVERITIES if worst[severity]]
    parts += [f"{worst[None]} without a finding"] if worst[None] else []
    parts += [plural(copies, "copy", "copies")] if copies else []
    shown = f"; the worst {len(selection.full)} in full below" if selection.full else ""
    return f"{plural(len(report.dumps), 'dump')}: {', '.join(parts)}{shown}"


def listed_sources(dumps: Sequence[DumpReport]) -> list[str]:
    """The dumps' sources for a list, without the folder that they share."""
    sources = [source_words(dump, numbered=True, limit=400) for dump in dumps]
    folders = {dump.source.rpartition("/")[0] for dump in dumps}
    if len(folders) > 1 or len({dump.source for dump in dumps}) == 1:
        return sources
    folder = clean(folders.pop())
    return [source.replace(f" {folder}/", " ", 1) if folder else source for source in sources]


# Sentences about a dump.


def source_words(dump: DumpReport, *, numbered: bool, limit: int = 60) -> str:
    """Where the dump was found; with its id where there are several."""
    source = shorten(clean(dump.source), limit)
    if dump.member:
        source += f":{shorten(clean(dump.member), 40)}"
    if dump.line > 1:
        source += f" line {dump.line}"
    return f"{clean(dump.id, 20)} {source}" if numbered else source


FAMILIES = {"jvm": "JVM", "python": "Python", "go": "Go", "dotnet": ".NET", "ruby": "Ruby"}


def runtime_words(dump: DumpReport) -> str:
    """The runtime's name and version, without what every virtual machine says of itself."""
    name = clean(dump.runtime_name or FAMILIES.get(dump.family, ""), 80)
    name = re.sub(r"( \d\d-Bit)?( Server| Client)? VM$", "", name) or name
    version = re.split(r"[+ ]", clean(dump.version or "", 80), maxsplit=1)[0]
    return f"{name} {version}" if version else name


def headline(dump: DumpReport, *, numbered: bool) -> list[str]:
    """The parts of the line above a dump's report: source, process, runtime, time, threads."""
    process = "/".join(shorten(clean(part), 40) for part in (dump.service, dump.instance) if part)
    where = f"pid {dump.pid}" if dump.pid is not None else ""
    if dump.host:
        where = f"{where} on {shorten(clean(dump.host), 40)}" if where else shorten(clean(dump.host), 40)
    time = clean(dump.taken_at or "", 60)
    time = re.sub(r"^(\d{4}-\d\d-\d\d)T", r"\1 ", time)
    threads = plural(dump.total, dump.unit)
    if dump.virtual:
        threads += f" ({dump.virtual} virtual)"
    if dump.request_threads:
        threads += f", {dump.request_threads} of them request {dump.unit}s"
    parts = [source_words(dump, numbered=numbered), process, runtime_words(dump), where, time, threads]
    if dump.truncated:
        parts.append("incomplete: threads or frames are missing")
    return [part for part in parts if part]


def merged_words(dump: DumpReport) -> str:
    """What a dump was made of, and where the lines are of the threads; empty where it is one dump."""
    if not dump.merged:
        return ""
    text, file = dump.merged
    here = file.source == text.source
    where = f"the dump in line {file.line}" if here else shorten(clean(file.source), 60)
    what = plural(file.virtual, "virtual thread")
    if file.threads > file.virtual:
        what += f" and {plural(file.threads - file.virtual, 'more thread')}"
    lines = "" if here else ": their line numbers are of that file"
    return f"Two dumps of one moment, read as one: states and locks of the text, and {what} of {where}{lines}."


def calm_words(dump: DumpReport) -> str:
    """What to say about a dump without a finding, or with none that needs action."""
    if dump.total == 0:
        return "No thread was read from this dump."
    counts = [f"{count} {kind_words(kind)}" for kind in KINDS if (count := dump.by_kind.get(kind))]
    start = "No serious finding." if dump.findings else "No finding."
    return f"{start} {', '.join(counts)}." if counts else start


def is_calm(dump: DumpReport) -> bool:
    """No finding of medium severity or above."""
    return dump.worst not in ("critical", "high", "medium")


def duplicate_words(dump: DumpReport) -> str:
    """Why a dump is not reported twice."""
    first = clean(dump.duplicate_of or "", 20)
    if dump.taken_at is None:
        return (
            f"Identical to {first}, and the format prints no time: the same dump given twice, or nothing has moved. "
            f"If it was taken seconds later, what waits in {first} is stuck. Not repeated here."
        )
    return f"The same dump as {first}: not repeated here."


def overview_words(dump: DumpReport) -> tuple[Severity | None, str]:
    """One line on a dump: its worst finding."""
    if dump.duplicate_of is not None:
        return None, f"{'identical to' if dump.taken_at is None else 'same dump as'} {clean(dump.duplicate_of, 20)}"
    first = next(iter(findings_of(dump)), None)
    return (first.severity, clean(first.title)) if first else (None, calm_words(dump))


def rest_words(selection: Selection) -> str:
    """How to see the dumps that are not shown in full."""
    these = "1 more dump is" if selection.rest == 1 else f"{selection.rest} more dumps are"
    return f"{these} not shown in full: give one file at a time, or use --format json for all of them."


def evidence_words(evidence: Sequence[Evidence], limit: int) -> str:
    """Where to look in the input; the line's text only where no thread is named."""
    places = []
    for item in evidence[:limit]:
        if item.thread is not None:
            of_dump = f" of {clean(item.dump, 20)}" if item.dump is not None else ""
            places.append(thread_words(item.thread, item.line) + of_dump)
        else:
            places.append(f"line {item.line}" + (f": {clip(clean(item.text.strip(), 300), 60)}" if item.text else ""))
    if len(evidence) > limit:
        places.append(f"{len(evidence) - limit} more")
    return ", ".join(places)


def input_words(problems: Sequence[Problem], unread_lines: int) -> str:
    """How much of the input was not understood."""
    parts = [plural(len(problems), "problem") if problems else "", ""]
    if unread_lines:
        parts[1] = f"{plural(unread_lines, 'line')} not read"
    return ", ".join(part for part in parts if part)


def problem_words(problem: Problem) -> tuple[str, str, str]:
    """Line, reason and a bit of the odd text."""
    place = f"line {problem.line}" if problem.line else ""
    return place, clean(problem.reason), clip(clean(problem.text.strip(), 300), 60)
