"""Locks: deadlocks, and many threads behind one owner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from threaddump.classify import is_unnamed_class
from threaddump.findings.calls import PHASES, recovery, timeout_words
from threaddump.findings.facts import Facts, of_crew, short, short_class
from threaddump.groups import QUIET
from threaddump.report import Chain, ContendedLock, Deadlock, Evidence, Finding, Group, Severity, WaitNode
from threaddump.waits.convoys import Convoy
from threaddump.waits.owners import listed_with_l

_AWAITS = "is a task that waits for the end of the next one"
RING = 6
"""Threads of a cycle that a sentence names."""


def deadlock(facts: Facts) -> Iterable[Finding]:
    """A cycle of threads that wait for each other: nothing but an end of the process resolves it."""
    for cycle in facts.waits.deadlocks:
        yield _deadlock(facts, cycle)


def _deadlock(facts: Facts, cycle: Deadlock) -> Finding:
    found = "The runtime reports it too" if cycle.reported_by_runtime else "The runtime does not report it"
    virtual = {thread.line for thread in facts.dump.threads if thread.virtual}
    if not cycle.reported_by_runtime and virtual.intersection(cycle.lines):
        found += ": the JVM searches for deadlocks among platform threads only"
    wanted = [thread.blocked_on for thread in facts.dump.threads if thread.line in cycle.lines]
    if any(lock is not None and is_unnamed_class(lock) for lock in wanted):
        found += ". Inferred: it does not name the classes, and no other thread is inside an initialiser"
    convoys = [c for i, c in facts.waits.graph.convoy_of.items() if facts.dump.threads[i].line in cycle.lines]
    for reason in dict.fromkeys(convoy.reason for convoy in convoys):
        found += f". Inferred: {reason}"
    ring = " → ".join(f'"{name}"' for name in [*cycle.threads[:RING], *cycle.threads[:1]])
    if len(cycle.threads) > RING:
        ring = f"{ring} (over {len(cycle.threads)} threads)"
    behind = f", {cycle.behind} more wait behind them" if cycle.behind else ""
    texts = {  # a line alone tells no thread: JSON may be one line
        (thread.label, thread.line): verdict.blocking_frame
        for thread, verdict in zip(facts.dump.threads, facts.verdicts, strict=True)
    }
    return Finding(
        id="deadlock",
        severity="critical" if all(convoy.exact for convoy in convoys) else "high",
        title=f"deadlock of {len(cycle.threads)} threads ({cycle.type}){behind}",
        detail=f"Each {'wants a lock that the next one holds' if cycle.locks else _AWAITS}: {ring}. {found}.",
        threads=len(cycle.threads) + cycle.behind,
        thread_names=list(cycle.threads),
        evidence=[
            Evidence(name, line, texts.get((name, line)) or "deadlock section")
            for name, line in zip(cycle.threads, cycle.lines, strict=False)
        ],
        advice=[
            "do not await a task that awaits this one, or bound the wait: asyncio.timeout(...)"
            if not cycle.locks
            else "do not use one class in the static initialiser of the other"
            if cycle.type == "class-init"
            else "take the locks in one order everywhere, or use tryLock with a timeout",
            "restart this process: a deadlock never ends by itself"
            if cycle.locks
            else "cancel one of the tasks, or restart this process: such a circle never ends by itself",
        ],
        recovery=["restart of this process alone; the locks live and die with it"]
        if cycle.locks
        else ["cancel one of the tasks: the one that awaits it gets a CancelledError, and the circle is open"],
    )


def threads_behind_one_owner(facts: Facts) -> Iterable[Finding]:
    """Many threads wait, directly or through others, for locks of one thread; what that thread does decides."""
    for chain in facts.waits.chains:
        # An owner that is idle is a leader: it polls or accepts under the lock, the others queue to take its place.
        if chain.root.count == 1 and chain.root.kind not in QUIET and chain.waiting >= 3 and _locks(chain.tree):
            yield _behind_owner(facts, chain)


def _locks(tree: Iterable[WaitNode]) -> list[WaitNode]:
    return [node for node in tree if node.lock is not None]


def _severity(facts: Facts, waiters: Sequence[int], convoy: Convoy | None) -> Severity:
    """By breadth; an owner that is only inferred makes it one step milder, a wait that may be none two."""
    if convoy is not None and not convoy.certain:
        return "high" if convoy.at_work and len(waiters) >= 10 else "low"
    if len(waiters) < 10:
        return "medium"
    return "critical" if facts.takes_most(waiters) and convoy is None else "high"


def _behind_owner(facts: Facts, chain: Chain) -> Finding:
    owner = chain.root.threads[0]
    members = set(zip(chain.root.threads, chain.root.lines, strict=True))
    roots = {i for i, thread in enumerate(facts.dump.threads) if (thread.label, thread.line) in members}
    group = facts.groups[facts.group_of[min(roots)]]
    waiters = sorted(facts.waits.graph.behind(roots))
    crew = facts.crew(waiters)
    node = max(_locks(chain.tree), key=lambda node: node.count)
    lock = short_class(node.lock_class)
    others = len({node.lock for node in _locks(chain.tree)}) - 1
    if others:
        lock += f" and {others} more lock{'s' if others > 1 else ''} they want"
    convoy = next((c for i in waiters if (c := facts.waits.graph.convoy_of.get(i)) is not None), None)
    holds = "holds" if convoy is None else "probably holds"
    how = "" if convoy is None else f" Inferred: {convoy.reason}."
    how += _FAIR * (node.lock_class or "").endswith("$FairSync")
    direct = sum(node.count for node in _locks(chain.tree))
    further = f" ({direct} directly)" if direct != chain.waiting else ""
    advice = []
    if chain.root.kind == "external-call":
        advice += _out_of_the_lock(facts, group, node.lock_class or "")
    elif chain.root.kind in {"sleep", "sync-wait", "pool-wait"}:
        advice.append("do not sleep or wait while holding a lock that others need")
    elif chain.root.kind == "io":
        advice.append("take file and console output out of the lock (asynchronous appender, smaller critical section)")
    else:
        advice.append("shorten what is done under the lock, or split the lock")
    if (node.lock_class or "").startswith("java.lang.Class for "):
        advice.append("static synchronized is one lock for the whole process: lock an object for what is really shared")
    advice.append(f'what "{owner}" waits for is the cause: the threads behind it are fine')
    finding = facts.finding(
        "threads-behind-one-owner",
        _severity(facts, waiters, convoy),
        f'{of_crew(waiters, crew)} wait behind one owner: "{owner}" {holds} {lock}{further}',
        (
            f'Meanwhile "{owner}" is {_doing(chain)}.'
            if chain.root.blocking_frame
            else f'What "{owner}" does is not told.'
        )
        + how,
        waiters,
        advice,
        recovery(facts, group) if chain.root.kind == "external-call" else _of_library(facts, chain),
        node.group,
    )
    finding.evidence.insert(0, Evidence(owner, chain.root.lines[0], chain.root.blocking_frame or chain.root.kind))
    return finding


def _of_library(facts: Facts, chain: Chain) -> Sequence[str]:
    found: Sequence[str] = facts.profile(chain.root.integration).get("recovery", ())
    return found


def _out_of_the_lock(facts: Facts, group: Group, lock_class: str) -> list[str]:
    """What to do about a call under a lock: what a library locks cannot be moved, it can only be kept short."""
    bound = "" if group.timed is True else f", and bound it ({timeout_words(facts, group)})"
    if lock_class.startswith(_BIN):
        return [
            f"the function given to computeIfAbsent or compute runs under a lock of the map, which stops other keys of "
            f"its bin, too: take the call out of it{bound}, or keep futures in the map"
        ]
    if facts.classifier.is_library(lock_class):
        return [
            f"the lock is the library's own: its threads share one {short_class(lock_class)}. Let them not share it, "
            f"or keep the call under it short{bound}"
        ]
    return [f"take the call out of the lock{bound}"]


_BIN = "java.util.concurrent.ConcurrentHashMap$"
"""How the classes of the nodes begin on which a map locks one of its bins."""


def _doing(chain: Chain) -> str:
    root = chain.root
    where = f" in {short(root.caller)}" if root.caller else ""
    if root.kind == "external-call":
        name = root.integration.name if root.integration else "network"
        return f"in an external call{where} ({name}, {PHASES.get(root.phase or 'read', root.phase or '')})"
    words = {
        "running": f"running{where}",
        "sleep": f"asleep{where}",
        "io": f"in file or pipe I/O{where} ({short(root.blocking_frame)})",
        "pool-wait": f"waiting for a pool's slot{where}",
        "sync-wait": f"waiting for another thread{where} ({short(root.blocking_frame)})",
        "unknown": f"in {short(root.blocking_frame)}{where if root.caller != root.blocking_frame else ''}",
    }
    return words.get(root.kind, f"{root.kind}{where}")


def lock_owner_unknown(facts: Facts) -> Iterable[Finding]:
    """Many threads want one lock, and the dump does not say who has it."""
    inferred = {convoy.id: convoy.waiters for convoy in facts.waits.graph.convoys}
    for lock in facts.waits.locks:
        if lock.owner is not None or lock.owner_unknown is None or lock.type == "pool" or len(lock.waiting) < 5:
            continue
        waiting = inferred.get(lock.id)  # threads that are told to want the same lock by where they stand
        threads = list(waiting) if waiting is not None else _wanting(facts, lock.id)
        if any(index in facts.waits.graph.owner_of for index in threads):
            continue
        if _behind_writers(facts, lock, threads):
            continue  # told by write_lock_starved
        crew = facts.crew(threads)
        # What jcmd prints with -l: HotSpot's threads, but not virtual ones.
        printed = facts.dump.format not in {"javacore", "jrockit"} and listed_with_l(lock.class_name, facts.dump)
        printed = printed and not all(facts.dump.threads[index].virtual for index in threads)
        which = short_class(lock.class_name)
        which = which if which.startswith("the ") else f"one {which}"
        yield facts.finding(
            "lock-owner-unknown",
            "medium" if len(threads) >= 10 else "low",
            f"{of_crew(threads, crew)} wait for {which}; its owner is unknown",
            (f"{lock.owner_unknown}." if waiting is not None else f"{lock.id}: {lock.owner_unknown}.")
            + _FAIR * lock.class_name.endswith("$FairSync"),
            threads,
            [_WITH_OWNERS] if printed else [*_other_processes(facts, threads), _WHO_CHANGES],
            group=facts.groups[facts.group_of[threads[0]]].id if threads else None,
        )


_FAIR = " The lock is fair: each time it changes hands, the next thread in line has to wake up first."
_WITH_OWNERS = "take the next dump with the owners: jcmd PID Thread.print -l"
_WHO_CHANGES = "take three dumps, seconds apart: a lock that changes hands shows other waiters each time"


def _other_processes(facts: Facts, threads: Sequence[int]) -> list[str]:
    """Where to look for the holder of a lock that several processes share."""
    entry = facts.verdicts[threads[0]].entry if threads else None
    system = entry.system if entry is not None else None
    if system == "distributed-lock":
        return [
            "the holder may be another instance: ask the service that keeps the lock who has it (Redis: GET and PTTL "
            "of its key)",
            "give the lock an expiry, and the wait a timeout: without an expiry it outlives a holder that has died",
        ]
    if system == "sqlite":
        return ["which connection keeps a transaction open: lsof FILE names the processes, their dumps the threads"]
    if system == "file-lock":
        return ["which process holds the file: lslocks, or fuser -v FILE; give the wait a timeout"]
    return []


def _wanting(facts: Facts, lock: str) -> list[int]:
    """Threads that enter this lock, or else those that wait on it."""
    threads = facts.dump.threads
    entering = [index for index, t in enumerate(threads) if t.blocked_on and t.blocked_on.id == lock]
    return entering or [index for index, t in enumerate(threads) if t.waiting_on and t.waiting_on.id == lock]


def write_lock_starved(facts: Facts) -> Iterable[Finding]:
    """A thread waits to write, all others queue behind it, and who reads meanwhile is in no dump.

    A reader that comes after a waiting writer waits too: one reader that takes its time stops them all.
    """
    convoys = {convoy.id: convoy for convoy in facts.waits.graph.convoys}
    for lock in facts.waits.locks:
        threads = _wanting(facts, lock.id)
        writers = _behind_writers(facts, lock, threads)
        if lock.owner is not None or not writers or len(threads) < 3:
            continue
        crew = facts.crew(threads)
        readers = len(threads) - len(writers)
        convoy = convoys.get(lock.id)
        read = _held_by_readers(facts, lock)
        unknown = "No thread owns it for writing, so readers hold it" if read else "Its owner is not in this dump"
        among = f" Of this dump, {convoy.reason.rpartition('; ')[2]}." if convoy is not None else ""
        yield facts.finding(
            "write-lock-starved",
            "medium" if len(threads) >= 10 else "low",
            f"{of_crew(threads, crew)} wait for one {short_class(lock.class_name)}: {len(writers)} to write, "
            f"{readers} to read",
            f"{unknown}; who holds it for reading is printed by no JVM. Readers queue behind the first thread that "
            f"waits to write.{among}{_FAIR * lock.class_name.endswith('$FairSync')}",
            threads,
            [
                "find the reader: a thread between readLock().lock() and unlock(), often in a call that takes long",
                "do not call out under a read lock, and copy what is read instead",
            ],
            group=facts.groups[facts.group_of[writers[0]]].id,
        )


_READ_WRITE = ("java.util.concurrent.locks.ReentrantReadWriteLock", "java.util.concurrent.locks.StampedLock")
_WRITE = tuple(
    f"{lock}{method}"
    for lock, methods in zip(
        _READ_WRITE, (("$WriteLock.",), (".writeLock", ".tryWriteLock", ".acquireWrite")), strict=True
    )
    for method in methods
)
"""How the frames begin in which a thread waits to write."""


def _held_by_readers(facts: Facts, lock: ContendedLock) -> bool:
    """Whether the dump shows it: it lists who owns a lock for writing, and this one has nobody."""
    return facts.dump.ownable_synchronizers and lock.class_name.startswith(_READ_WRITE[0])


def _behind_writers(facts: Facts, lock: ContendedLock, threads: Sequence[int]) -> list[int]:
    """Threads that wait to write to a lock that others wait, or are known, to read; empty for any other lock."""
    if not lock.class_name.startswith(_READ_WRITE):
        return []
    stacks = (facts.dump.threads[index].stack for index in threads)
    found = [i for i, stack in zip(threads, stacks, strict=True) if any(f.function.startswith(_WRITE) for f in stack)]
    return found if len(found) < len(threads) or _held_by_readers(facts, lock) else []
