"""Locks whose owner no dump prints, told from the code that threads stand in.

CPython records no owner of a lock, and ``with lock:`` leaves no frame; HotSpot prints the owners of
``java.util.concurrent`` locks only with ``-l``. What a dump does show is many threads that stop at one place, and
another thread deeper inside the same code. That is a hint and no proof: it is always marked as inferred, and where
several threads could be the holder none is named.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from types import MappingProxyType

from threaddump.classify import Verdict
from threaddump.code.locks import LockName, SourceLocks
from threaddump.groups import QUIET, crew_name
from threaddump.naming import naming, python_path
from threaddump_parsers.model import Dump, Frame, Lock, Thread

GO_LOCKS = frozenset({"sync.Mutex", "sync.RWMutex"})
LOGGING = "py-logging"
"""Key of the library profile of the logging package."""
CONVOY = 3
"""Threads at one line before it is called a convoy."""
_LOCK_CLASSES = ("asyncio/locks.py", "/threading.py", "multiprocessing/synchronize.py")
KEPT_ELSEWHERE = {
    "distributed-lock": "distributed lock",
    "file-lock": "file lock",
    "sqlite": "lock of an SQLite database",
}
"""Systems of locks that several processes share, and what these are called."""
Place = tuple[str | None, str, int | None]
"""File, function and line."""
_LOCK_METHODS = frozenset({"Lock.acquire", "Semaphore.acquire", "_ContextManagerMixin.__aenter__"})
"""asyncio's own, where a dump prints coroutines without their files."""
_NOT_CODE_OF_A_CLASS = ("<module>", "<lambda>", "<listcomp>", "<genexpr>")


@dataclass(slots=True)
class Convoy:
    """Threads that stand at the same line, and the thread that probably holds what they wait for."""

    id: str
    lock: str
    """What the lock is called: the place where it is taken."""
    type: str
    waiters: list[int]
    owner: int | None
    reason: str
    certain: bool = True
    """The threads are known to wait for a lock. If not, they may as well sleep at that line."""
    at_work: bool = True
    """The threads are in a task or a request, not in the loop of a thread of their own."""
    exact: bool = False
    """They are known to want one and the same lock: the source and the printed addresses tell it from all others."""


def find_convoys(
    dump: Dump,
    verdicts: Sequence[Verdict],
    unowned: Mapping[str, list[int]] = MappingProxyType({}),
    locks: SourceLocks | None = None,
) -> list[Convoy]:
    """Convoys, longest first. ``unowned``: locks without a printed owner and the threads that want them.

    ``locks``: what the application's source says about locks, where it is at hand.
    """
    if dump.family == "python":
        found = _by_source(dump, locks) if locks is not None else []
        found += _at_one_line(dump, verdicts, {index for convoy in found for index in convoy.waiters})
    else:
        found = _at_one_lock(dump, verdicts, unowned)
        if dump.family != "jvm":
            found += _at_one_call(dump, verdicts)
    return sorted(found, key=lambda convoy: -len(convoy.waiters))


# JVM and Go: a lock is known, its owner is not


def _at_one_lock(dump: Dump, verdicts: Sequence[Verdict], unowned: Mapping[str, list[int]]) -> list[Convoy]:
    taken_at = {lock: _places(dump, verdicts, waiters) for lock, waiters in unowned.items()}
    found = []
    for lock_id, waiters in unowned.items():
        lock = dump.threads[waiters[0]].blocked_on or dump.threads[waiters[0]].waiting_on
        if len(waiters) < CONVOY or lock is None:
            continue
        places = taken_at[lock_id]
        alike = [other for other in unowned if other != lock_id and not places.keys().isdisjoint(taken_at[other])]
        standing = {*waiters, *chain.from_iterable(unowned[other] for other in alike)}
        holders, past = _holders(dump, verdicts, places.values(), waiters, standing, past_only=not _is_lock(lock))
        if not holders:
            continue
        names = ", ".join(f'"{dump.threads[i].label}"' for i in holders[:3])
        methods = sorted({function for _, function, _ in places})
        where = f"past the line where {', '.join(methods[:2])} takes {'the lock' if _is_lock(lock) else 'a permit'}"
        if not past:
            where = f"in other code of {', '.join(sorted({name.rpartition('.')[0] for name in methods})[:2])}"
        if len(holders) > 1:
            among = f"{len(holders)} threads are {where}, and any may hold it: {names}"
        elif alike:
            among = f"{names} alone is {where}, but others wait there for another lock of this kind"
        else:
            among = f"{names} alone is {where}"
        owner = holders[0] if len(holders) == 1 and not alike else None
        reason = f"{_why_unlisted(lock, dump)}; {among}"
        kind = "other" if lock.class_name in GO_LOCKS else "synchronizer"
        found.append(Convoy(lock_id, lock.class_name, kind, waiters, owner, reason))
    return found


def _is_lock(lock: Lock) -> bool:
    """Whether who passed it holds it. Permits of a semaphore may also be signals, which nobody gives back."""
    return lock.class_name.startswith("java.util.concurrent.locks.") or lock.class_name in GO_LOCKS


def _why_unlisted(lock: Lock, dump: Dump) -> str:
    """Why nothing in the dump says who holds this."""
    if lock.class_name in GO_LOCKS:
        return "Go records no owner of a lock"
    if "ReadWriteLock" in lock.class_name and dump.ownable_synchronizers:
        return "no thread owns it for writing, and the dump never lists who holds it for reading"
    if "Reentrant" in lock.class_name:
        return "the dump lists no owners"
    return f"a {lock.class_name.rpartition('.')[2].partition('$')[0]} records no owner"


def _places(dump: Dump, verdicts: Sequence[Verdict], waiters: Sequence[int]) -> dict[Place, Frame]:
    """The application's frames that take the lock."""
    found = {}
    for index in waiters:
        place = _taking(dump, dump.threads[index], verdicts[index])
        if place is not None:
            found[place.file, place.function, place.line] = place
    return found


def _taking(dump: Dump, thread: Thread, verdict: Verdict) -> Frame | None:
    shown = naming(dump.family).shown
    return next((frame for frame in thread.stack if shown(frame) == verdict.caller), None)


def _holders(
    dump: Dump,
    verdicts: Sequence[Verdict],
    places: Collection[Frame],
    waiters: Sequence[int],
    standing: set[int],
    past_only: bool,
) -> tuple[list[int], bool]:
    """The threads that may hold what is taken at these places, and whether they are past the line that takes it.

    If nobody is, those in another lambda of the method, which shares its variables; else those in another method of the
    class. ``standing`` wait at one of the places, some perhaps for another lock.
    """
    past: dict[int, None] = {}
    beside: dict[int, None] = {}
    for place in places:
        past.update(dict.fromkeys(_in_function(dump, verdicts, place, set(waiters), places)))
        if not past_only:
            beside.update(dict.fromkeys(_beside(dump, verdicts, place, standing)))
    holders = list(past or beside)
    crew = {crew_name(dump.threads[i].name) for i in waiters}
    of_crew = [i for i in holders if crew_name(dump.threads[i].name) in crew]
    if len(crew) == 1 and len(of_crew) == 1:
        return of_crew, bool(past)  # threads of one pool run the same code: the others only pass through the class
    return holders, bool(past)


def _beside(dump: Dump, verdicts: Sequence[Verdict], place: Frame, standing: set[int]) -> list[int]:
    """Threads in a lambda of the same method, or in that method itself; else in the same class."""
    method = _enclosing_method(place.function)
    if method != place.function:
        others = [
            i for i, v in enumerate(verdicts) if i not in standing and v.kind not in QUIET and not is_parked_main(v)
        ]
        found = [
            i for i in others if any(_enclosing_method(frame.function) == method for frame in dump.threads[i].stack)
        ]
        if found:
            return found
    return _in_class(dump, verdicts, place, standing)


def is_parked_main(verdict: Verdict) -> bool:
    """Whether it is a program's ``main`` that only waits for the end: it has started the others, and does nothing."""
    names = verdict.app_frames
    return verdict.kind == "sync-wait" and len(names) == 1 and names[0].endswith(".main")


_LAMBDA = re.compile(r"(.*)\.lambda\$(\w+)\$\d+")


def _enclosing_method(function: str) -> str:
    """``Stock.refresh`` for the body of a lambda in it, ``Stock.lambda$refresh$1``, as javac names it."""
    match = _LAMBDA.fullmatch(function)
    return function if match is None or match[2] in {"null", "new", "static"} else f"{match[1]}.{match[2]}"


# Neither lock nor owner are known


def _at_one_call(dump: Dump, verdicts: Sequence[Verdict]) -> list[Convoy]:
    """Threads that are known to wait for a lock, at one line of the application: the lock itself is not printed."""
    by_place: dict[Frame, list[int]] = defaultdict(list)
    for index, (thread, verdict) in enumerate(zip(dump.threads, verdicts, strict=True)):
        if verdict.kind == "lock-wait" and thread.blocked_on is None:
            place = _taking(dump, thread, verdict)
            if place is not None and place.line is not None:
                by_place[place].append(index)
    found = (_convoy(dump, verdicts, waiters, place) for place, waiters in by_place.items() if len(waiters) >= CONVOY)
    return [convoy for convoy in found if convoy is not None]


# Python: neither lock nor owner are known, but the source may tell both


def _by_source(dump: Dump, locks: SourceLocks) -> list[Convoy]:
    """Threads at a line that takes a lock, and those inside the code that holds a lock of that name."""
    found = []
    for name, waiters in locks.wanted().items():
        holders = locks.holders(name)
        waiting = [index for index in holders if index in waiters]
        if name.variable is not None and len(holders) == 2 and len(waiting) == 2:
            # Each holds one of the locks and wants another, and nobody else holds any: so each wants the other's.
            for index, other in (waiting, reversed(waiting)):
                reason = (
                    f"{_labels(dump, holders)} are each inside a block that holds one {name.name} and wait for "
                    "another; no other thread is inside such a block"
                )
                which = f" wanted by the thread at line {dump.threads[index].line}"
                found.append(_of_name(dump, name, [index], other, reason, locks, which))
            waiters = [index for index in waiters if index not in waiting]
        others = [index for index in holders if name.variable is not None or index not in waiters]
        if not waiters:
            continue
        owner = others[0] if len(others) == 1 and others[0] not in waiters else None
        if owner is not None:
            reason = f"{_labels(dump, [owner])} alone is inside a block that holds {name.name}, by the source"
            if name.variable is not None:
                reason += "; two objects' locks cannot be told apart without local variables (py-spy dump --locals)"
        elif others:
            reason = f"{len(others)} threads are inside a block that holds {name.name}, and any may hold it: "
            reason += _labels(dump, others)
        elif locks.at_hand:
            reason = f"CPython records no owner, and no thread is inside a block of the source that holds {name.name}"
        else:
            reason = f"CPython records no owner; the source tells who is inside a block that holds {name.name}"
        found.append(_of_name(dump, name, waiters, owner, reason, locks))
    return found


def _of_name(
    dump: Dump, name: LockName, waiters: list[int], owner: int | None, reason: str, locks: SourceLocks, which: str = ""
) -> Convoy:
    printed = {lock.id for index in waiters if (lock := dump.threads[index].blocked_on) is not None}
    one = printed.pop() if len(printed) == 1 else None
    return Convoy(
        id=(one or locks.id(name)) + which,
        lock=f"lock {name.name}",
        type="other",
        waiters=waiters,
        owner=owner,
        reason=reason,
        exact=name.variable is None,
    )


def _labels(dump: Dump, threads: Sequence[int]) -> str:
    return ", ".join(f'"{dump.threads[index].label}"' for index in threads[:3])


def _at_one_line(dump: Dump, verdicts: Sequence[Verdict], told: Collection[int] = ()) -> list[Convoy]:
    found = _logging(dump, verdicts) + _importing(dump, verdicts) + _elsewhere(dump, verdicts)
    by_line: dict[object, list[int]] = defaultdict(list)
    for index, (thread, verdict) in enumerate(zip(dump.threads, verdicts, strict=True)):
        # What a C call does is not visible (unknown), or native frames show that it takes a lock.
        if verdict.kind not in {"unknown", "lock-wait"} or verdict.library == LOGGING:
            continue
        if _system(verdict) == "import" or _system(verdict) in KEPT_ELSEWHERE:
            continue
        if index in told:
            continue
        leaf = _python_leaf(thread)
        if leaf is None:
            continue
        if thread.blocked_on is not None:
            by_line[thread.blocked_on.id].append(index)  # gdb prints which lock it is
        elif verdict.kind == "unknown" and thread.virtual:
            continue  # a suspended task is in no C call: what it waits for is in frames that were not printed
        elif (leaf.line is not None or leaf.file is None) and leaf.function not in _NOT_CODE_OF_A_CLASS:
            by_line[leaf.file, leaf.function, leaf.line].append(index)
    for waiters in by_line.values():
        convoy = _convoy(dump, verdicts, waiters) if len(waiters) >= CONVOY else None
        if convoy is not None:
            found.append(convoy)
    return found


def _elsewhere(dump: Dump, verdicts: Sequence[Verdict]) -> list[Convoy]:
    """Threads that want a lock which a file or a service keeps, by the application's line that takes it.

    The holder may be of another process, but is often past that line in this one.
    """
    by_place: dict[tuple[Frame, str], list[int]] = defaultdict(list)
    for index, (thread, verdict) in enumerate(zip(dump.threads, verdicts, strict=True)):
        system = _system(verdict)
        if verdict.kind == "lock-wait" and system in KEPT_ELSEWHERE:
            place = _taking(dump, thread, verdict)
            if place is not None and place.line is not None:
                by_place[place, system].append(index)
    found = []
    for (place, system), waiters in by_place.items():
        convoy = _convoy(dump, verdicts, waiters, place) if len(waiters) >= CONVOY else None
        if convoy is not None:
            what = KEPT_ELSEWHERE[system]
            convoy.lock = f"{what} taken in {place.function}"
            convoy.reason = convoy.reason.replace("take a lock", f"take a {what}", 1).replace(
                "CPython records no owner", "another process may hold it", 1
            )
            if convoy.owner is not None:
                convoy.reason += " (but another process may hold it)"
            found.append(convoy)
    return found


def _python_leaf(thread: Thread) -> Frame | None:
    """The innermost Python frame, but not one of the lock's own: all locks of a class share those."""
    frames = [frame for frame in thread.stack if not frame.native]
    users = (
        frame
        for frame in frames
        if (not frame.file.endswith(_LOCK_CLASSES) if frame.file is not None else frame.function not in _LOCK_METHODS)
    )
    return next(users, frames[0] if frames else None)


def _convoy(dump: Dump, verdicts: Sequence[Verdict], waiters: list[int], place: Frame | None = None) -> Convoy | None:
    """Threads at one line: at this place, or else where their innermost Python frames are."""
    leaf = place or _python_leaf(dump.threads[waiters[0]])
    assert leaf is not None
    where = f"{python_path(leaf.file)}:{leaf.line}" if leaf.file is not None else leaf.function
    lock = dump.threads[waiters[0]].blocked_on
    known = lock is not None or verdicts[waiters[0]].kind == "lock-wait"
    leaves = (place or _python_leaf(dump.threads[index]) for index in waiters)
    places = {one for one in leaves if one is not None}
    inside = _inside(dump, verdicts, leaf, set(waiters), places)
    if not known and not inside:
        return None  # nothing but a line in common: they may well sleep or compute there
    what = "take a lock" if known else "stand in a C call, probably to take a lock,"
    stand = f"{len(waiters)} threads {what} {'at' if leaf.file is not None else 'in'} {where}"
    if len(inside) == 1:
        holder = dump.threads[inside[0]].label
        reason = f'{stand}; "{holder}" alone is inside the same code, past that line'
    elif inside:
        names = ", ".join(f'"{dump.threads[i].label}"' for i in inside[:3])
        reason = f"{stand}; {len(inside)} threads are inside the same code and any may hold it: {names}"
    else:
        who = "CPython" if dump.family == "python" else "the runtime"
        reason = f"{stand}; {who} records no owner, and no thread is inside the same code"
    return Convoy(
        id=where if lock is None or lock.id is None else lock.id,
        lock=f"lock taken in {leaf.function}",
        type="other",
        waiters=waiters,
        owner=inside[0] if len(inside) == 1 else None,
        reason=reason,
        certain=known,
        at_work=all(verdicts[i].request or _in_task(dump.threads[i]) for i in waiters),
    )


def _in_task(thread: Thread) -> bool:
    """Below a ``ThreadPoolExecutor``'s work item."""
    return any(
        frame.function.rpartition(".")[2] == "run" and (frame.file or "").endswith("concurrent/futures/thread.py")
        for frame in thread.stack
    )


def _inside(
    dump: Dump, verdicts: Sequence[Verdict], leaf: Frame, waiters: set[int], places: Collection[Frame]
) -> list[int]:
    """Threads that are inside the code that takes the lock: the same function past that line, else the same class."""
    return _in_function(dump, verdicts, leaf, waiters, places) or _in_class(dump, verdicts, leaf, waiters)


def _in_function(
    dump: Dump, verdicts: Sequence[Verdict], place: Frame, waiters: set[int], places: Collection[Frame]
) -> list[int]:
    """Threads in the same function past the line where the lock is taken, and at no other place that takes it."""
    lines = {other.line for other in places if other.function == place.function and other.file == place.file}
    return [
        index
        for index, verdict in enumerate(verdicts)
        if index not in waiters
        and verdict.kind not in QUIET
        and any(
            frame.function == place.function
            and frame.file == place.file
            and frame.line not in lines
            and (frame.line or 0) > (place.line or 0)
            for frame in dump.threads[index].stack
        )
    ]


def _in_class(dump: Dump, verdicts: Sequence[Verdict], place: Frame, waiters: set[int]) -> list[int]:
    """Threads in another function of the same class."""
    owner = place.function.rpartition(".")[0]
    if dump.family == "go" and "." not in owner.rpartition("/")[2]:
        return []  # a package of Go has many locks
    return [
        index
        for index, verdict in enumerate(verdicts)
        if owner
        and index not in waiters
        and verdict.kind not in QUIET
        and any(
            frame.file == place.file and frame.function.rpartition(".")[0] == owner and frame.function != place.function
            for frame in dump.threads[index].stack
        )
    ]


def _logging(dump: Dump, verdicts: Sequence[Verdict]) -> list[Convoy]:
    """Waiting for a handler's lock: the holder is the thread inside ``emit`` or ``flush`` of a handler."""
    waiters = [i for i, v in enumerate(verdicts) if v.kind == "lock-wait" and v.library == LOGGING]
    if not waiters:
        return []
    writing = [
        index
        for index, (thread, verdict) in enumerate(zip(dump.threads, verdicts, strict=True))
        if (verdict.library == LOGGING and verdict.kind in {"io", "external-call"})
        or (verdict.kind not in QUIET and index not in waiters and _emits(thread))
    ]
    return [
        Convoy(
            id="logging:handler",
            lock="logging handler lock",
            type="logging",
            waiters=waiters,
            owner=writing[0] if len(writing) == 1 else None,
            reason="a handler writes under its lock, and this thread is inside the write"
            if len(writing) == 1
            else f"CPython records no owner; {len(writing)} threads are inside a handler's write",
        )
    ]


def _emits(thread: Thread) -> bool:
    """Whether the thread is inside the ``emit`` of a handler, whoever wrote that: its ``handle`` holds the lock."""
    names = [(frame.function.rpartition(".")[2], frame.file or "") for frame in thread.stack]
    return any(
        above[0] == "emit" and below[0] == "handle" and below[1].endswith("logging/__init__.py")
        for above, below in pairwise(names)
    )


def _importing(dump: Dump, verdicts: Sequence[Verdict]) -> list[Convoy]:
    """Waiting for a module's import lock: the holder is a thread that runs a module's code, and does not wait itself.

    Which module a thread waits for is not in a dump, so the holder is named only where one thread imports.
    """
    waiters = [i for i, v in enumerate(verdicts) if v.kind == "lock-wait" and _system(v) == "import"]
    if not waiters:
        return []
    waiting = set(waiters)
    running = [
        i for i, thread in enumerate(dump.threads) if i not in waiting and any(map(_runs_a_module, thread.stack))
    ]
    one = len(running) == 1
    return [
        Convoy(
            id="import:module",
            lock="import lock of a module",
            type="import",
            waiters=waiters,
            owner=running[0] if one else None,
            reason="a module's lock is held while its code runs, and this thread alone runs a module's code"
            if one
            else f"CPython records no owner; {len(running)} threads run a module's code",
        )
    ]


def _runs_a_module(frame: Frame) -> bool:
    return frame.function.rpartition(".")[2] in {"exec_module", "_load_unlocked"} and "importlib" in (frame.file or "")


def _system(verdict: Verdict) -> str | None:
    return verdict.entry.system if verdict.entry is not None else None
