"""Who owns the locks that threads want: as printed, or told by the frame that runs a class's initialiser."""

from __future__ import annotations

from collections.abc import Sequence

from threaddump.classify import CLASS_INIT, Verdict, is_class_init, is_unnamed_class
from threaddump.groups import QUIET, integration, is_lock, lock_id
from threaddump.report import OF_SOURCE, Basis, ContendedLock, Owner
from threaddump.waits.convoys import GO_LOCKS, Convoy
from threaddump_parsers.model import Dump, Lock, Thread

INITIALISER = "this thread is inside the class's initialiser"
SEMAPHORE = "java.util.concurrent.Semaphore$"
NEVER_OWNED = ("java.util.concurrent.locks.StampedLock", SEMAPHORE)
"""Classes that do not record who holds them."""
_MONITORS = ("java.util.concurrent.ConcurrentHashMap$", "java.util.concurrent.CopyOnWriteArray")
"""Classes of java.util.concurrent that are locked as any other object is, with ``synchronized``."""
ONLY_INITIALISER = "this thread alone is inside an initialiser of a class, and the JVM does not name the class"


def wanted(thread: Thread, owners: dict[str | None, int]) -> Lock | None:
    """The lock a thread wants to own. Waiting to be notified is not wanting the monitor."""
    if thread.blocked_on is not None:
        return thread.blocked_on
    parked = thread.waiting_on
    if parked is not None and parked.id in owners and thread.printed_state and "parking" in thread.printed_state:
        return parked  # an application's own AbstractOwnableSynchronizer
    return None


def find_owners(dump: Dump) -> dict[str | None, int]:
    """Lock id to the index of the thread that owns it."""
    owners: dict[str | None, int] = {}
    for index, thread in enumerate(dump.threads):
        for held in thread.holds:
            owners.setdefault(held.lock.id, index)
    # A reported deadlock names owners that the threads' own entries show only with -l.
    for reported in dump.deadlocks:
        waits_for = dict(zip(reported.threads, reported.locks, strict=False))
        for lock, name in zip(reported.locks, reported.owners, strict=False):
            holder = _member(dump, name, waits_for.get(name))
            if holder is not None and lock.id is not None:
                owners.setdefault(lock.id, holder)
    # The JVM names no owner of a class's initialisation, but only one thread can be inside the class's initialiser.
    if any(thread.blocked_on is not None and lock_type(thread.blocked_on) == "class-init" for thread in dump.threads):
        for index, thread in enumerate(dump.threads):
            for frame in thread.stack:
                if frame.function.endswith(".<clinit>"):
                    owners.setdefault(CLASS_INIT + frame.function.removesuffix(".<clinit>"), index)
    return owners


def wanted_permits(dump: Dump, verdicts: Sequence[Verdict]) -> dict[str, list[int]]:
    """Semaphores by id, and the threads that wait for a permit; a pool's own semaphore is the pool's matter."""
    found: dict[str, list[int]] = {}
    for index, (thread, verdict) in enumerate(zip(dump.threads, verdicts, strict=True)):
        lock = thread.waiting_on if verdict.kind == "sync-wait" else None
        if lock is not None and lock.id is not None and lock.class_name.startswith(SEMAPHORE):
            found.setdefault(lock.id, []).append(index)
    return found


def find_initialisers(dump: Dump) -> dict[int, int]:
    """Threads that wait for a class that the dump does not name, to the one other thread inside an initialiser."""
    waiting = [
        index
        for index, thread in enumerate(dump.threads)
        if thread.blocked_on is not None and is_unnamed_class(thread.blocked_on)
    ]
    if not waiting:
        return {}
    inside = [i for i, t in enumerate(dump.threads) if any(frame.function.endswith(".<clinit>") for frame in t.stack)]
    others = {index: [other for other in inside if other != index] for index in waiting}
    return {index: found[0] for index, found in others.items() if len(found) == 1}


def _member(dump: Dump, name: str, lock: Lock | None) -> int | None:
    """The thread that a reported deadlock means: names repeat, so the one that waits for the lock it is said to."""
    same_name = [i for i, thread in enumerate(dump.threads) if thread.name == name]
    if lock is not None and len(same_name) > 1:
        return next((i for i in same_name if lock_id(dump.threads[i]) == lock.id), same_name[0])
    return same_name[0] if same_name else None


def owner_basis(lock: Lock) -> Basis:
    """How the owner is known: by where threads stand for HotSpot's class initialisation and for locks of Python."""
    told = (lock.id or "").startswith((CLASS_INIT, OF_SOURCE))
    return "inferred" if told or is_unnamed_class(lock) else "reported"


def lock_type(lock: Lock) -> str:
    if lock.id is not None and lock.id.startswith(OF_SOURCE):
        return "other"
    if is_class_init(lock):
        return "class-init"
    if lock.class_name in GO_LOCKS or lock.class_name.startswith("_thread."):
        return "other"
    if lock.class_name.startswith(_MONITORS):
        return "monitor"
    return "synchronizer" if lock.class_name.startswith("java.util.concurrent.") else "monitor"


def wanted_locks(
    dump: Dump, verdicts: Sequence[Verdict], owner_of: dict[int, int]
) -> dict[str, tuple[Lock, list[int]]]:
    """Lock id to the lock and the threads that want it, most wanted first."""
    wanted: dict[str, tuple[Lock, list[int]]] = {}
    for index, (thread, verdict) in enumerate(zip(dump.threads, verdicts, strict=True)):
        lock = thread.blocked_on or (thread.waiting_on if verdict.kind == "lock-wait" or index in owner_of else None)
        if lock is not None and lock is thread.waiting_on and index not in owner_of and not is_lock(lock):
            continue
        if lock is not None and lock.id is not None:
            wanted.setdefault(lock.id, (lock, []))[1].append(index)
    return dict(sorted(wanted.items(), key=lambda item: -len(item[1][1])))


def ownable(lock: Lock) -> bool:
    """A lock whose owner stands apart from the frames or nowhere: of java.util.concurrent, or of Go."""
    return lock.class_name.startswith("java.util.concurrent.locks.") or lock.class_name in GO_LOCKS


def contended_locks(
    dump: Dump,
    verdicts: Sequence[Verdict],
    owners: dict[str | None, int],
    wanted: dict[str, tuple[Lock, list[int]]],
) -> dict[str, ContendedLock]:
    result = {}
    virtual = any(thread.virtual for thread in dump.threads)
    for key, (lock, indexes) in wanted.items():
        owner = owners.get(key)
        result[key] = ContendedLock(
            id=key,
            class_name=lock.class_name,
            type=lock_type(lock),
            owner=_owner(dump, verdicts, owner, owner_basis(lock))
            if owner is not None and owner not in indexes
            else None,
            waiting=[dump.threads[index].label for index in indexes],
            owner_unknown=None if owner is not None else _why_unowned(lock, dump, virtual=virtual),
        )
    return result


def _owner(dump: Dump, verdicts: Sequence[Verdict], index: int, evidence: Basis) -> Owner:
    thread, verdict = dump.threads[index], verdicts[index]
    return Owner(
        thread.label,
        thread.line,
        verdict.kind,
        verdict.blocking_frame,
        verdict.caller,
        integration(verdict, dump.family) if verdict.kind not in QUIET else None,
        evidence,
    )


def released(lock: Lock, dump: Dump, *, virtual: bool) -> bool:
    """Whether the dump would show the owner if there were one: then the lock was given up a moment ago.

    ``virtual``: there are virtual threads, and what these own is printed nowhere.
    """
    return dump.ownable_synchronizers and "ReentrantLock$" in lock.class_name and not virtual


def _why_unowned(lock: Lock, dump: Dump, *, virtual: bool) -> str:
    kind = lock_type(lock)
    if kind == "class-init":
        return "the JVM does not print who runs a class initialiser, and no thread is seen inside it"
    if lock.class_name in GO_LOCKS:
        return "Go records no owner of a lock, and no goroutine is seen inside the code that takes it"
    if kind == "other":
        return "CPython records no owner of a lock"
    if kind == "monitor":
        return "no thread in this dump holds it: it was just released, or a native frame or the VM holds it"
    if "ReentrantLock$" in lock.class_name or "ReentrantReadWriteLock$" in lock.class_name:
        if virtual:
            return "no dump shows the locks of java.util.concurrent that virtual threads own"
        if not dump.ownable_synchronizers:
            if dump.format in {"javacore", "jrockit"}:
                return "this dump does not tell who owns locks of java.util.concurrent"
            return "owners of java.util.concurrent locks are printed with -l only: jcmd PID Thread.print -l"
        if "ReadWriteLock" in lock.class_name:
            return "no thread owns it for writing; owners of read locks are never printed"
        return "no thread in this dump owns it: it was just released"
    return "a lock of this class records no owner"


def listed_with_l(class_name: str, dump: Dump) -> bool:
    """Whether this JVM's dump would name the owner if it were taken with ``-l``."""
    return (
        not dump.ownable_synchronizers
        and class_name.startswith("java.util.concurrent.")
        and not class_name.startswith(NEVER_OWNED)
    )


def convoy_lock(dump: Dump, verdicts: Sequence[Verdict], convoy: Convoy) -> ContendedLock:
    owner = None
    if convoy.owner is not None:
        owner = _owner(dump, verdicts, convoy.owner, "inferred")
    return ContendedLock(
        id=convoy.id,
        class_name=convoy.lock,
        type=convoy.type,
        owner=owner,
        waiting=[dump.threads[index].label for index in convoy.waiters],
        owner_unknown=convoy.reason if owner is None else None,
    )
