"""What each thread is doing: from its stack and state to a verdict, with the catalog's entries.

The order of decisions (frame 0 is the innermost):

1. Every frame is turned into a *key* (``package.Class.method``, ``urllib3/connectionpool.py:_get_conn``,
   ``native:recv``) and looked up once.
2. The *zone* is the part of the stack above the application: platform frames, frames that an entry matches, and
   frames of the same libraries. Only what an entry matches in the zone can explain the wait; below it stand the
   callers.
3. A thread that is BLOCKED waits to enter its top frame: nothing below can be the cause.
4. Otherwise the entry with the highest priority wins, then the innermost; an entry of the state alone (a wait reason
   of Go) counts with the others. A pool entry loses when the thread is
   inside a call or file access above it: it creates or checks a connection, it does not wait for one.
5. The *blocking frame* is the primitive that really blocks (a socket read) or the frame of the winning wait or pool.
6. The *caller* is the innermost application frame.

Everything here depends on the stack, the state and the interpreter's version alone, so it is done once per distinct
stack; ``Classifier`` keeps the verdicts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from threaddump import catalog
from threaddump.catalog import Catalog, Entry, glob_test
from threaddump.naming import is_c_code, naming
from threaddump_parsers.java_frames import is_c_function
from threaddump_parsers.model import Dump, Frame, Lock, Stack, Thread

NETWORK_PRIMITIVE = 49
"""Priority of a primitive that names the blocking call: it beats generic waits (below 50), not a library's entry."""
VERDICTS_KEPT = 100_000
ANY_WAIT = "WAITING|TIMED_WAITING"
"""The state of a thread in a dump that does not tell waits with a timeout from those without."""
UNTIMED_PARK = "java.util.concurrent.locks.LockSupport.park"
CLASS_INIT = "class-init:"
"""Begins the id of the lock under which HotSpot initialises a class; it prints the class alone.

Before 17 it does not even print that, and the lock has no id."""
J9_CLASS_INIT = "java.lang.J9VMInternals$ClassInitializationLock"
"""The object that J9 has for it."""
WANTS_GIL = re.compile("waiting for (?:the )?gil", re.IGNORECASE)
"""The words of ``profiling.sampling``, of pystack and of gdb for a thread that waits for the interpreter lock."""
ASLEEP = re.compile(r"\bsleeping\b")
"""The word of HotSpot and JRockit for a thread in ``Thread.sleep``, where its frames do not show it."""
NOT_BEGUN = "ready to run: it has no frames yet, and no carrier"
ON_FUTURE = re.compile(r"wait_for=(?:(_Gathering)Future\b|\w+ \w+ cb=(_chain_future|shield)$)")
"""What a task waits for, as asyncio prints it, where that tells more than that it is a future."""
FUTURES = {
    "_Gathering": "it waits for the tasks of asyncio.gather",
    "_chain_future": "it waits for a result from another thread: the callback of its future is _chain_future",
    "shield": "it waits for a task that asyncio.shield protects",
}
ON_CHANNELS = frozenset({"chan receive", "select"})
"""Wait reasons of Go for a goroutine that waits until others send."""


@dataclass(slots=True, frozen=True, eq=False)
class Verdict:
    """What a thread with this stack and state is doing."""

    kind: str
    phase: str | None = None
    entry: Entry | None = None
    """The entry that won, None where the state alone decided."""
    blocking_frame: str | None = None
    caller: str | None = None
    app_frames: tuple[str, ...] = ()
    """Application frames, innermost first: what waiters and holders of one pool have in common."""
    timed: bool | None = None
    timed_reason: str = ""
    request: bool = False
    """The stack shows that the thread serves a request."""
    inferred: str = ""
    """What the kind is inferred from where no frame shows it: the source line."""

    @property
    def library(self) -> str | None:
        return self.entry.library if self.entry else None


class Classifier:
    """Verdicts for the threads of dumps of one runtime family; keeps one per distinct stack and state."""

    def __init__(self, family: str, known: Catalog | None = None) -> None:
        self.family = family
        self.catalog = known or catalog.load(family)
        self.naming = naming(family)
        self._verdicts: dict[tuple[Stack, str | None, str | None], Verdict] = {}
        # What is known of a frame is worked out once: a dump has few distinct frames, even with many distinct stacks.
        self._keys: dict[Frame, str] = {}
        self._platform: dict[str, bool] = {}
        self._library: dict[str, bool] = {}

    def verdicts(self, dump: Dump) -> list[Verdict]:
        """The verdicts for the threads of a dump, in their order."""
        version = (_minor(dump.version) or _version_in_paths(dump)) if self.family == "python" else None
        stateless = self.stateless(dump)
        found = []
        for thread in dump.threads:
            if not thread.stack or thread.carries is not None:
                found.append(self._by_name(thread))
                continue
            cache_key = (thread.stack, effective_state(thread, thread in stateless), version)
            verdict = self._verdicts.get(cache_key)
            if verdict is None:
                if len(self._verdicts) >= VERDICTS_KEPT:
                    for cache in (self._verdicts, self._keys, self._platform, self._library):
                        cache.clear()
                self._verdicts[cache_key] = verdict = self._classify(*cache_key)
            if verdict.kind == "unknown":
                verdict = self._by_name(thread, verdict)
            elif verdict.kind == "idle" and any(task.state != "TERMINATED" for task in thread.awaits):
                verdict = replace(
                    verdict, kind="sync-wait", phase=None, entry=None
                )  # its loop has given work to a task
            if thread.locals and verdict.kind in {"external-call", "pool-wait"}:
                verdict = self._timed_by_locals(thread, verdict)
            if thread.call is not None:
                verdict = self._with_call(verdict, thread)
            found.append(verdict)
        return found

    def _with_call(self, verdict: Verdict, thread: Thread) -> Verdict:
        from threaddump.system_calls import with_call  # which knows verdicts; few dumps need it

        return with_call(verdict, thread, self)

    def stateless(self, dump: Dump) -> frozenset[Thread]:
        """Threads whose state says nothing: py-spy 0.1 and 0.2 call blocked threads active.

        That shows where nobody is idle in a crowd, and where a thread is active at a line at which others are idle.
        """
        if self.family != "python":
            return frozenset()
        idle_at = {thread.stack[0] for thread in dump.threads if thread.state == "IDLE" and thread.stack}
        if not idle_at and len(dump.threads) > 3:
            return frozenset(dump.threads)
        return frozenset(
            t for t in dump.threads if t.state == "ACTIVE" and not t.gil and t.stack and t.stack[0] in idle_at
        )

    def key(self, frame: Frame) -> str:
        """What catalog patterns are matched against for this frame."""
        found = self._keys.get(frame)
        if found is None:
            self._keys[frame] = found = self.naming.key(frame)
            if self.naming.installed is not None and self.naming.installed(frame):
                self._library[found] = True
        return found

    def _by_name(self, thread: Thread, verdict: Verdict | None = None) -> Verdict:
        """What is known without frames: threads of the VM by their name, and carriers of virtual threads."""
        if thread.internal or thread.carries is not None:
            return Verdict("runtime")
        if any(names.role == "runtime" for names in self.catalog.thread_names.find(thread.name)):
            return Verdict("runtime")
        if thread.state in {"NEW", "TERMINATED"}:
            return Verdict("idle")
        if thread.state == "BLOCKED" and thread.blocked_on is not None:
            return Verdict("lock-wait", None, self.catalog.by_id.get("jvm.sync.monitor"), timed=False)
        if self.family == "jvm" and ASLEEP.search(thread.printed_state or ""):
            return replace(verdict or Verdict("unknown"), kind="sleep", phase="sleep", timed=True)
        if thread.virtual and thread.state == "RUNNABLE" and not thread.stack and not thread.truncated:
            return Verdict("running", inferred=NOT_BEGUN)  # a mounted one has the frames that its carrier executes
        if verdict is not None and WANTS_GIL.search(thread.printed_state or ""):
            return replace(verdict, kind="running")  # ready to run
        if thread.awaits:
            return replace(verdict or Verdict("unknown"), kind="sync-wait")  # for the ends of other tasks
        future = ON_FUTURE.search(thread.printed_state or "") if thread.virtual else None
        if future is not None:
            inferred = FUTURES[future[1] or future[2]]
            return replace(verdict or Verdict("unknown"), kind="sync-wait", inferred=inferred)
        return verdict or Verdict("unknown")

    def decisive(self, stack: Stack) -> Stack:
        """The frames that are asked: of a JVM's with C functions among them (``jhsdb --mixed``) the methods."""
        if self.family == "jvm" and any(map(is_c_function, stack)):
            return tuple(frame for frame in stack if not is_c_function(frame)) or stack
        return stack

    def _classify(self, stack: Stack, state: str | None, version: str | None) -> Verdict:
        stack = self.decisive(stack)
        keys = [self.key(frame) for frame in stack]
        matched = [self.catalog.frames.find(key) for key in keys]
        request = any(self.catalog.request_frames.find(key) for key in keys)
        if state == "BLOCKED":
            return self._blocked(stack, keys, matched, request)
        zone = self.zone(keys, matched)
        hits = self.candidates(keys, matched, zone, state)
        # With native frames the C function stands above the Python one: the same call keeps the same blocking frame.
        primitives = [(i, e) for i, e in hits if e.role == "primitive"]
        primitive = next((p for p in primitives if not is_c_code(keys[p[0]])), next(iter(primitives), None))
        winner = self.winner(hits, matched, state)
        if winner is None:
            kind = self._without_entry(stack, state, request)
            top = _first_shown(matched)
            caller, app = self._callers(stack, keys, matched, 0)
            return Verdict(kind, None, None, self.shown(stack[top]), caller, app, None, "", request)
        index, entry = winner
        kind = entry.kind or "unknown"
        at_work = primitive is None or primitive[1].kind == "running"
        if kind == "idle" and state == "RUNNABLE" and at_work and index > 0 and _busy_above(keys, matched):
            kind = "running"  # a loop's frame alone proves nothing: above it the loop does its work
        blocking = index
        if kind in {"external-call", "io", "running", "sleep"} and primitive is not None:
            blocking = primitive[0]
        phase = entry.phase
        if primitive and kind == "external-call" and primitive[1].kind == "external-call":
            if phase in {None, "request", "execute"}:
                phase = _call_phase(hits, index) or primitive[1].phase or phase
            elif phase == "connect" and primitive[1].phase in {"read", "write"}:
                phase = _call_phase(hits, index) or "login"  # the connection is made: the peer does not greet
        below = self._below_same_class(keys, index) if entry.library is None and entry.role == "pool" else zone
        caller, app = self._callers(stack, keys, matched, below if kind != "lock-wait" else min(below, index))
        timed, reason = self._timed(stack, keys, state, version, entry, primitive[1] if primitive else None)
        return Verdict(kind, phase, entry, self.shown(stack[blocking]), caller, app, timed, reason, request)

    def _blocked(self, stack: Stack, keys: list[str], matched: list[tuple[Entry, ...]], request: bool) -> Verdict:
        """BLOCKED: the thread waits to enter its top frame, or to get back into a monitor after Object.wait."""
        top = 0
        while top < len(keys) - 1 and keys[top].startswith("java.lang.Object.wait"):
            top += 1
        best: Entry | None = None
        for entry in matched[0]:
            if entry.kind == "lock-wait" and (not entry.states or "BLOCKED" in entry.states):
                if best is None or entry.priority > best.priority:
                    best = entry
        if top and best is not None and best.library is None:
            best = None
        caller, app = self._callers(stack, keys, matched, 0)
        winner = best or self.catalog.by_id.get("jvm.sync.monitor")
        return Verdict(
            "lock-wait",
            winner.phase if winner is not None else None,
            winner,
            self.shown(stack[top]),
            caller,
            app,
            False,
            "a monitor is waited for without a timeout",
            request,
        )

    def winner(
        self, hits: Sequence[tuple[int, Entry]], matched: Sequence[tuple[Entry, ...]], state: str | None
    ) -> tuple[int, Entry] | None:
        """The entry that explains the thread, and its frame; one of the state alone stands at the innermost frame."""
        by_frame = winner_of(hits)
        by_state = self.catalog.by_state.get(state or "")
        if by_state is not None and (by_frame is None or by_state.priority > weight(by_frame[1])):
            return _first_shown(matched), by_state
        return by_frame

    def zone(self, keys: list[str], matched: list[tuple[Entry, ...]]) -> int:
        """The number of frames from the top that stand above the application."""
        roots = {
            self.naming.root(key)
            for key, entries in zip(keys, matched, strict=True)
            if any(entry.library and entry.role in {"integration", "pool", "wait", "idle"} for entry in entries)
            and not self.is_platform(key)
        }
        for index, (key, entries) in enumerate(zip(keys, matched, strict=True)):
            if self.is_platform(key) or self.naming.root(key) in roots or self._generated(keys, index):
                continue
            if any(entry.library or entry.role in {"primitive", "transparent"} for entry in entries):
                continue
            if (index == 0 and entries) or self.is_library(key):
                continue
            return index
        return len(keys)

    def candidates(
        self, keys: list[str], matched: list[tuple[Entry, ...]], zone: int, state: str | None
    ) -> list[tuple[int, Entry]]:
        """Entries that could explain the thread, each at its innermost frame, innermost first."""
        hits: list[tuple[int, Entry]] = []
        seen: set[str] = set()
        # One frame below the zone may still be an application's own pool or wait class, known by its name.
        reach = min(len(keys), zone + 1)
        for index in range(reach):
            for entry in matched[index]:
                if entry.id in seen or entry.role in {"marker", "transparent"}:
                    continue
                if index >= zone and entry.library is not None:
                    continue
                seen.add(entry.id)
                if ruled_out(entry, index, near(entry, index, keys, zone), state) is None:
                    hits.append((index, entry))
        working = next(
            (i for i, e in hits if e.role == "primitive" and e.kind in {"external-call", "io", "running"}), len(keys)
        )
        return [(i, e) for i, e in hits if e.role != "pool" or i < working]

    def _below_same_class(self, keys: list[str], index: int) -> int:
        """The first frame below ``index`` that is of another class: who uses the application's own pool."""
        owner = keys[index].rpartition(".")[0]
        while index < len(keys) and keys[index].startswith((f"{owner}.", f"{owner}$")):
            index += 1
        return index

    def _callers(
        self, stack: Stack, keys: list[str], matched: list[tuple[Entry, ...]], start: int
    ) -> tuple[str | None, tuple[str, ...]]:
        """The caller as reports name it, and the keys of all application frames from ``start`` down."""
        caller = None
        app = []
        fallback = None
        for index in range(start, len(keys)):
            key = keys[index]
            if self.is_platform(key) or is_c_code(key) or self.catalog.proxies.find(key):
                continue
            if self._generated(keys, index):
                continue
            if any(entry.library for entry in matched[index]) or self.is_library(key):
                if fallback is None and index >= start and not any(e.role == "transparent" for e in matched[index]):
                    fallback = self.shown(stack[index])
                continue
            if caller is None:
                caller = self.shown(stack[index])
            app.append(key)
        return caller or fallback, tuple(app)

    def _generated(self, keys: list[str], index: int) -> bool:
        """Whether a frame of a file without a path, as ``<string>``, is code that a library has generated for itself.

        That is where one and the same library calls it and is called by it, as SQLAlchemy's sessions are.
        """
        if not keys[index].startswith("<"):
            return False
        around = (keys[:index][::-1], keys[index + 1 :])
        inner, outer = (next((key for key in side if not key.startswith(("<", "native:"))), "") for side in around)
        return self.is_library(inner) and self.naming.root(inner) == self.naming.root(outer)

    def is_app(self, _key: str) -> bool:
        """Said by the user to be of the application."""
        return False

    def is_platform(self, key: str) -> bool:
        """Of the JDK or of another runtime's standard library."""
        found = self._platform.get(key)
        if found is None:
            standard = self.naming.standard
            self._platform[key] = found = standard(key) if standard is not None else key in self.catalog.platform
        return found

    def is_library(self, key: str) -> bool:
        """Of a well-known library, framework or server."""
        found = self._library.get(key)
        if found is None:
            if self.naming.paths:
                top = key.partition(":")[0].partition("/")[0].removesuffix(".py")
                found = top in self.catalog.library_names
            else:
                found = key in self.catalog.libraries
            self._library[key] = found
        return found

    def shown(self, frame: Frame) -> str:
        """How a report names this frame."""
        return self.naming.shown(frame)

    @staticmethod
    def _without_entry(stack: Stack, state: str | None, request: bool) -> str:
        if state == "RUNNABLE":
            return "unknown" if stack[0].native else "running"
        if request and state in ON_CHANNELS:
            return "sync-wait"  # elsewhere it may as well be a worker without work
        return "running" if state == "ACTIVE" else "unknown"

    def _timed(
        self,
        stack: Stack,
        keys: list[str],
        state: str | None,
        version: str | None,
        entry: Entry,
        primitive: Entry | None,
    ) -> tuple[bool | None, str]:
        """Whether the wait has a timeout, and how that is known."""
        if primitive is not None and entry.kind == "external-call" and primitive.kind == "external-call":
            if primitive.timed == "never":
                if any(".timed" in glob for glob in primitive.forbids):
                    return False, f"{primitive.match[0]} without its timed form on the stack: no timeout was set"
                return False, f"{primitive.match[0]} never has a timeout"
            if primitive.timed == "always":
                return True, f"{primitive.match[0]} is there only when a timeout was set"
        if entry.timed == "never":
            return False, "this call never has a timeout"
        if entry.timed == "always":
            return True, "this call always has a timeout"
        if entry.timed == "state":
            if state == "TIMED_WAITING":
                return True, "the state is TIMED_WAITING"
            if state == "WAITING":
                return False, "the state is WAITING, not TIMED_WAITING"
            if state == ANY_WAIT and UNTIMED_PARK in keys:
                return False, "LockSupport.park on the stack waits without a timeout"
        if entry.timed == "frame":
            if _any_match(entry.timed_frames, keys):
                return True, "the stack shows the timed form of the call"
            if entry.untimed_frames and _any_match(entry.untimed_frames, keys):
                return False, "the stack shows the untimed form of the call"
        if entry.timed == "line":
            return self._timed_by_line(stack, keys, version)
        return None, ""

    def _timed_by_line(self, stack: Stack, keys: list[str], version: str | None) -> tuple[bool | None, str]:
        for frame, key in zip(stack, keys, strict=True):
            by_text = self.catalog.wait_texts.get((key, frame.source)) if frame.source else None
            if by_text is not None:
                return by_text, f"{frame.file} line {frame.line} is {frame.source}"
        if version is None:
            return None, "the interpreter's version is not in the dump"
        for frame, key in zip(stack, keys, strict=True):
            known = self.catalog.wait_lines.get((key, version))
            if known and frame.line in known:
                timed = known[frame.line]
                word = "with" if timed else "without"
                return timed, f"{frame.file} line {frame.line} of Python {version} waits {word} a timeout"
        return None, ""

    def _timed_by_locals(self, thread: Thread, verdict: Verdict) -> Verdict:
        """Read the timeout that was passed, where the dump has local variables."""
        for entry, rule, value in self._variables(thread, "locals"):
            timed = _timeout_in(value)
            if timed is not None and entry.kind in {verdict.kind, None}:
                return replace(verdict, timed=timed, timed_reason=f"{rule['name']}: {value} in {rule['frame']}")
        return verdict

    def pool_objects(self, thread: Thread) -> list[str]:
        """The pool that the thread leases from or calls through, as printed: ``<HTTPConnectionPool at 0x7f..>``.

        And what a pool has of its own that its users show, too: a dialect of SQLAlchemy. The innermost first.
        """
        return [value for _, _, value in self._variables(thread, "pool_object") if " at 0x" in value]

    def _variables(self, thread: Thread, field: str) -> Iterator[tuple[Entry, dict[str, str], str]]:
        """Local variables that entries name, innermost frame first: the entry, its rule and the printed value."""
        for index in sorted(thread.locals or ()):
            if index >= len(thread.stack):
                continue
            key = self.key(thread.stack[index])
            for entry in self.catalog.frames.find(key):
                for rule in getattr(entry, field):
                    value = (thread.locals or {})[index].get(rule["name"])
                    if value is not None and glob_test(rule["frame"])(key):
                        yield entry, rule, value


def effective_state(thread: Thread, stateless: bool) -> str | None:
    """The state that a verdict goes by."""
    if thread.blocked_on is not None and is_class_init(thread.blocked_on):
        return "BLOCKED"  # waits for a class initialiser, which HotSpot prints as RUNNABLE
    if thread.carrier is not None and thread.state is None:
        return "RUNNABLE"  # mounted: it runs on its carrier, and HotSpot prints no state for it
    if thread.state == "WAITING" and not (thread.printed_state or "WAITING").startswith("WAITING"):
        return ANY_WAIT  # "in Object.wait()" of JDK 1.4 and 5, CW and P of a javacore, "alive, waiting" of JRockit
    return None if stateless else thread.state


def is_class_init(lock: Lock) -> bool:
    """Whether a class is initialised under this lock."""
    return (lock.id or "").startswith(CLASS_INIT) or lock.class_name == J9_CLASS_INIT or is_unnamed_class(lock)


def is_unnamed_class(lock: Lock) -> bool:
    """Whether it is the initialisation of a class that the runtime does not name; other locks of a class have an id."""
    return lock.id is None and lock.class_name == "java.lang.Class"


def near(entry: Entry, index: int, keys: Sequence[str], zone: int) -> Sequence[str]:
    """The frames that an entry at ``index`` may require or forbid.

    What calls a primitive decides whether it blocks: below the application stands only what serves the request.
    """
    return keys[: max(zone, index + 1)] if entry.role == "primitive" else keys


def ruled_out(entry: Entry, index: int, keys: Sequence[str], state: str | None) -> str | None:
    """The field by which an entry that matches the frame at ``index`` excludes itself; None where it may explain."""
    if entry.states and state is not None and not any(one in entry.states for one in state.split("|")):
        return "states"
    if entry.max_depth is not None:
        # C frames of py-spy --native stand between the Python frames and do not count.
        depth = index - sum(map(is_c_code, keys[:index]))
        if depth >= entry.max_depth:
            return "max_depth"
    if entry.requires and not _any_match(entry.requires, keys):
        return "requires"
    if entry.forbids and _any_match(entry.forbids, keys):
        return "forbids"
    return None


def _timeout_in(value: str) -> bool | None:
    """Whether a printed value is a timeout: ``None`` is none, a number is one, other objects tell nothing."""
    text = value.strip()
    if text in {"None", "-1", "<_TYPE_DEFAULT.token: -1>"}:
        return False
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return True
    match = re.search(r"read=(None|\d)", text)
    return None if match is None else match[1] != "None"


def winner_of(hits: Sequence[tuple[int, Entry]]) -> tuple[int, Entry] | None:
    best: tuple[int, Entry] | None = None
    best_priority = -1
    for index, entry in hits:
        priority = weight(entry)
        if priority > best_priority:
            best, best_priority = (index, entry), priority
    return best


def _call_phase(hits: Sequence[tuple[int, Entry]], index: int) -> str | None:
    """``handshake`` where TLS, which the winner at this frame calls, has not got beyond it."""
    return next((e.phase for i, e in hits if i < index and e.system == "tls" and e.phase == "handshake"), None)


def weight(entry: Entry) -> int:
    """The priority that counts: a primitive only names the call, so it never beats a library's entry."""
    return min(entry.priority, NETWORK_PRIMITIVE) if entry.role == "primitive" else entry.priority


def _busy_above(keys: list[str], matched: list[tuple[Entry, ...]]) -> bool:
    """Whether the innermost frame is work, and neither part of an idle loop nor a wait."""
    if any(entry.kind == "idle" for entry in matched[0]) or _transparent(matched[0]):
        return False
    return not keys[0].endswith((".wait", ".park", ".sleep"))


def _first_shown(matched: Sequence[tuple[Entry, ...]]) -> int:
    """The innermost frame that is no plumbing."""
    return next((index for index, entries in enumerate(matched) if not _transparent(entries)), 0)


def _transparent(entries: Sequence[Entry]) -> bool:
    return any(entry.role == "transparent" for entry in entries)


@lru_cache(maxsize=VERDICTS_KEPT)
def _key_matches(globs: Sequence[str], key: str) -> bool:
    return any(glob_test(glob)(key) for glob in globs)


def _any_match(globs: Sequence[str], keys: Sequence[str]) -> bool:
    return any(_key_matches(globs, key) for key in keys)


_LIBRARY_FOLDER = re.compile(r"[/\\]python(3\.\d+)t?[/\\]\w+\.py$")


def _minor(version: str | None) -> str | None:
    match = re.match(r"\d+\.\d+", version or "")
    return match[0] if match else None


def _version_in_paths(dump: Dump) -> str | None:
    """The interpreter's version by the folder of its library (``/usr/lib/python3.11/threading.py``)."""
    for thread in dump.threads:
        for frame in thread.stack:
            match = _LIBRARY_FOLDER.search(frame.file or "")
            if match is not None:
                return match[1]
    return None
