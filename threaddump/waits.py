"""Who waits for whom: lock owners, deadlocks, the threads that hold the slots of a pool, and chains of all of these.

A thread waits for one other thread (the owner of the lock it wants) or for any of several (those that hold the slots of
a pool). The first is printed by the runtime; the second is never printed and so always inferred, with its reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from threaddump.classify import Classifier, Verdict
from threaddump.convoys import Convoy, find_convoys
from threaddump.groups import QUIET, integration, lock_id, pool_name
from threaddump.report import Basis, Chain, ContendedLock, Deadlock, Group, Owner, Root, WaitNode
from threaddump_parsers.model import Dump, Lock, Thread

LEASING_FRAMES = 3
"""How many application frames below a pool wait may be the method that leases and then uses the slot."""
TREE_DEPTH = 40
"""Levels of a wait tree that are drawn; threads further behind are counted all the same."""
CLASS_INIT = "class-init:"
"""Begins the id of the lock under which a class is initialised."""
INITIALISER = "this thread is inside the class's initialiser"
WORKING = frozenset({"external-call", "io", "running", "sleep", "lock-wait", "sync-wait", "queue-put"})


@dataclass(slots=True)
class PoolJoin:
    """Threads that wait for a slot of one pool, and those that probably hold the slots."""

    name: str
    waiters: list[int]
    holders: list[int]
    reason: str


class WaitGraph:
    """Who waits behind whom, over locks and over the slots of pools."""

    def __init__(self, owner_of: dict[int, int], pools: Sequence[PoolJoin], convoys: Sequence[Convoy]) -> None:
        self.owner_of = owner_of
        self.pools = pools
        self.convoys = convoys
        self.convoy_of = {index: convoy for convoy in convoys for index in convoy.waiters}
        self.waiters: dict[int, list[int]] = {}
        """Thread to the threads that want a lock it owns."""
        self.slots: dict[int, list[int]] = {}
        """Thread to the numbers of the pools whose slots it probably holds."""
        for waiter, owner in owner_of.items():
            self.waiters.setdefault(owner, []).append(waiter)
        for number, pool in enumerate(pools):
            for holder in pool.holders:
                self.slots.setdefault(holder, []).append(number)

    def behind(self, roots: Iterable[int]) -> dict[int, int]:
        """All threads that wait for one of the roots, directly or through others, and over how many edges."""
        reached = dict.fromkeys(roots, 0)
        followed: set[int] = set()
        queue = list(reached)
        for index in queue:  # grows while we walk it: breadth first
            found = list(self.waiters.get(index, ()))
            for number in self.slots.get(index, ()):
                if number not in followed:
                    followed.add(number)
                    found += self.pools[number].waiters
            for waiter in found:
                if waiter not in reached:
                    reached[waiter] = reached[index] + 1
                    queue.append(waiter)
        return {index: edges for index, edges in reached.items() if edges}


@dataclass(slots=True)
class Waits:
    """What one dump says about waiting."""

    locks: list[ContendedLock]
    chains: list[Chain]
    deadlocks: list[Deadlock]
    graph: WaitGraph

    @property
    def pools(self) -> Sequence[PoolJoin]:
        return self.graph.pools


def find_waits(
    dump: Dump, verdicts: Sequence[Verdict], groups: Sequence[Group], group_of: Sequence[int], classifier: Classifier
) -> Waits:
    """Everything that can be said about who waits for whom in this dump."""
    threads = dump.threads
    owners = _owners(dump)
    owner_of: dict[int, int] = {}
    for index, thread in enumerate(threads):
        lock = _wanted(thread, owners)
        if lock is not None and owners.get(lock.id, index) != index:
            owner_of[index] = owners[lock.id]
    contended = _wanted_locks(dump, verdicts, owner_of)
    unowned = {
        key: waiting
        for key, (lock, waiting) in contended.items()
        if key not in owners and _ownable(lock) and not _released(lock, dump)
    }
    convoys = find_convoys(dump, verdicts, unowned)
    for convoy in convoys:
        if convoy.owner is not None:
            owner_of.update((index, convoy.owner) for index in convoy.waiters)
    graph = WaitGraph(owner_of, _pools(dump, verdicts, classifier), convoys)
    cycles = _cycles(owner_of)
    deadlocks = _deadlocks(dump, cycles, graph)
    inferred = {convoy.id: convoy for convoy in convoys}
    locks = [
        _convoy_lock(dump, verdicts, inferred.pop(key)) if key in inferred else lock
        for key, lock in _contended(dump, verdicts, owners, contended).items()
    ]
    locks += _pool_locks(dump, graph.pools, verdicts)
    locks += [_convoy_lock(dump, verdicts, convoy) for convoy in inferred.values()]
    chains = _Chains(dump, verdicts, groups, group_of, graph, cycles).build()
    return Waits(locks, chains, deadlocks, graph)


def _wanted(thread: Thread, owners: dict[str | None, int]) -> Lock | None:
    """The lock a thread wants to own. Waiting to be notified is not wanting the monitor."""
    if thread.blocked_on is not None:
        return thread.blocked_on
    parked = thread.waiting_on
    if parked is not None and parked.id in owners and thread.printed_state and "parking" in thread.printed_state:
        return parked  # an application's own AbstractOwnableSynchronizer
    return None


def _owners(dump: Dump) -> dict[str | None, int]:
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
    if any(thread.blocked_on is not None and _lock_type(thread.blocked_on) == "class-init" for thread in dump.threads):
        for index, thread in enumerate(dump.threads):
            for frame in thread.stack:
                if frame.function.endswith(".<clinit>"):
                    owners.setdefault(CLASS_INIT + frame.function.removesuffix(".<clinit>"), index)
    return owners


def _member(dump: Dump, name: str, lock: Lock | None) -> int | None:
    """The thread that a reported deadlock means: names repeat, so the one that waits for the lock it is said to."""
    same_name = [i for i, thread in enumerate(dump.threads) if thread.name == name]
    if lock is not None and len(same_name) > 1:
        return next((i for i in same_name if lock_id(dump.threads[i]) == lock.id), same_name[0])
    return same_name[0] if same_name else None


# Deadlocks


def _cycles(owner_of: dict[int, int]) -> list[list[int]]:
    """Cycles of the waits-for graph. Each thread waits for one owner at most, so a walk from each thread finds all."""
    cycles = []
    state: dict[int, int] = {}
    for start in owner_of:
        path = []
        current: int | None = start
        while current is not None and current not in state:
            state[current] = start
            path.append(current)
            current = owner_of.get(current)
        if current is not None and state[current] == start and current in path:
            cycles.append(path[path.index(current) :])
    return cycles


def _deadlocks(dump: Dump, cycles: list[list[int]], graph: WaitGraph) -> list[Deadlock]:
    found = []
    reported = [frozenset(deadlock.threads) for deadlock in dump.deadlocks]
    seen: list[frozenset[str]] = []
    for cycle in cycles:
        threads = [dump.threads[index] for index in cycle]
        names = frozenset(thread.name for thread in threads)
        seen.append(names)
        locks = [lock for thread in threads if (lock := thread.blocked_on or thread.waiting_on) is not None]
        found.append(
            Deadlock(
                threads=[thread.name for thread in threads],
                lines=[thread.line for thread in threads],
                locks=[str(lock) for lock in locks],
                type=_cycle_type(locks),
                reported_by_runtime=any(names <= printed for printed in reported),
                evidence=_basis(locks),
                behind=len(graph.behind(cycle)),
            )
        )
    for deadlock in dump.deadlocks:
        if not any(names <= frozenset(deadlock.threads) for names in seen):
            found.append(
                Deadlock(
                    threads=list(deadlock.threads),
                    lines=[deadlock.line],
                    locks=[str(lock) for lock in deadlock.locks],
                    type=_cycle_type(deadlock.locks),
                    reported_by_runtime=True,
                    evidence="reported",
                    behind=0,
                )
            )
    return sorted(found, key=lambda deadlock: -(len(deadlock.threads) + deadlock.behind))


def _cycle_type(locks: Iterable[Lock]) -> str:
    types = {_lock_type(lock) for lock in locks}
    return types.pop() if len(types) == 1 else "mixed"


def _basis(locks: Iterable[Lock]) -> Basis:
    bases = {_owner_basis(lock) for lock in locks}
    return bases.pop() if len(bases) == 1 else "mixed"


def _owner_basis(lock: Lock) -> Basis:
    """How the owner of a lock is known: of a class's initialisation only by the frame that runs it."""
    return "inferred" if _lock_type(lock) == "class-init" else "reported"


def _lock_type(lock: Lock) -> str:
    if lock.id is not None and lock.id.startswith(CLASS_INIT):
        return "class-init"
    return "synchronizer" if lock.class_name.startswith("java.util.concurrent.") else "monitor"


# Locks


def _wanted_locks(
    dump: Dump, verdicts: Sequence[Verdict], owner_of: dict[int, int]
) -> dict[str, tuple[Lock, list[int]]]:
    """Lock id to the lock and the threads that want it, most wanted first."""
    wanted: dict[str, tuple[Lock, list[int]]] = {}
    for index, (thread, verdict) in enumerate(zip(dump.threads, verdicts, strict=True)):
        lock = thread.blocked_on or (thread.waiting_on if verdict.kind == "lock-wait" or index in owner_of else None)
        if lock is not None and lock.id is not None:
            wanted.setdefault(lock.id, (lock, []))[1].append(index)
    return dict(sorted(wanted.items(), key=lambda item: -len(item[1][1])))


def _ownable(lock: Lock) -> bool:
    """A lock of java.util.concurrent: the JVM lists its owner apart from the frames, or not at all."""
    return lock.class_name.startswith("java.util.concurrent.locks.")


def _contended(
    dump: Dump,
    verdicts: Sequence[Verdict],
    owners: dict[str | None, int],
    wanted: dict[str, tuple[Lock, list[int]]],
) -> dict[str, ContendedLock]:
    result = {}
    for key, (lock, indexes) in wanted.items():
        owner = owners.get(key)
        result[key] = ContendedLock(
            id=key,
            class_name=lock.class_name,
            type=_lock_type(lock),
            owner=_owner(dump, verdicts, owner, _owner_basis(lock))
            if owner is not None and owner not in indexes
            else None,
            waiting=[dump.threads[index].name for index in indexes],
            owner_unknown=None if owner is not None else _why_unowned(lock, dump),
        )
    return result


def _owner(dump: Dump, verdicts: Sequence[Verdict], index: int, evidence: Basis) -> Owner:
    thread, verdict = dump.threads[index], verdicts[index]
    return Owner(
        thread.name,
        thread.line,
        verdict.kind,
        verdict.blocking_frame,
        verdict.caller,
        integration(verdict, dump.family) if verdict.kind not in QUIET else None,
        evidence,
    )


def _released(lock: Lock, dump: Dump) -> bool:
    """Whether the dump would show the owner if there were one: then the lock was given up a moment ago."""
    return dump.ownable_synchronizers and "ReentrantLock$" in lock.class_name


def _why_unowned(lock: Lock, dump: Dump) -> str:
    kind = _lock_type(lock)
    if kind == "class-init":
        return "the JVM does not print who runs a class initialiser, and no thread is seen inside it"
    if kind == "monitor":
        return "no thread in this dump holds it: it was just released, or a native frame or the VM holds it"
    if "ReentrantLock$" in lock.class_name or "ReentrantReadWriteLock$" in lock.class_name:
        if not dump.ownable_synchronizers:
            return "owners of java.util.concurrent locks are printed with -l only: jcmd PID Thread.print -l"
        if "ReadWriteLock" in lock.class_name:
            return "no thread owns it for writing; owners of read locks are never printed"
        return "no thread in this dump owns it: it was just released"
    return "a lock of this class records no owner"


# Pools


def _pools(dump: Dump, verdicts: Sequence[Verdict], classifier: Classifier) -> list[PoolJoin]:
    """Join pool waiters to the threads that probably hold the slots."""
    by_pool: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    for index, verdict in enumerate(verdicts):
        if verdict.kind == "pool-wait":
            name = pool_name(verdict) or "pool"
            by_pool[name, classifier.pool_object(dump.threads[index]) or verdict.caller].append(index)
    joins: dict[tuple[str, tuple[int, ...]], PoolJoin] = {}
    for (name, _), waiters in sorted(by_pool.items(), key=lambda item: -len(item[1])):
        holders, reason = _holders(dump, verdicts, classifier, waiters)
        known = joins.setdefault((name, tuple(holders)), PoolJoin(name, [], holders, reason))
        known.waiters += waiters
    return list(joins.values())


def _holders(
    dump: Dump, verdicts: Sequence[Verdict], classifier: Classifier, waiters: Sequence[int]
) -> tuple[list[int], str]:
    """The threads that probably hold the slots, and why we think so; the strongest reason that finds any."""
    waiter = verdicts[waiters[0]]
    working = [i for i, v in enumerate(verdicts) if v.kind in WORKING]
    calling = [i for i in working if verdicts[i].kind == "external-call"]

    address = classifier.pool_object(dump.threads[waiters[0]])
    if address is not None:
        same = [i for i in working if classifier.pool_object(dump.threads[i]) == address]
        if same:
            return same, f"the same pool object {address} in the local variables of both"
    if waiter.library is not None and waiter.caller is not None:
        same = [i for i in calling if verdicts[i].library == waiter.library and verdicts[i].caller == waiter.caller]
        if same:
            return same, f"the same client below the same caller {waiter.caller}"
    for frame in waiter.app_frames[:LEASING_FRAMES]:
        for candidates, doing in ((calling, "inside a call"), (working, "at work")):
            same = [i for i in candidates if frame in verdicts[i].app_frames]
            if same:
                return same, f"both are below {frame}: the waiters lease there, these threads are {doing} further on"
    if waiter.library is not None:
        same = [i for i in calling if verdicts[i].library == waiter.library]
        if same:
            return same, "calls of the same client library, from other callers"
    system = waiter.entry.system if waiter.entry else None
    if system is not None and system.endswith("-pool"):
        same = [i for i in calling if (e := verdicts[i].entry) is not None and e.system == system.removesuffix("-pool")]
        if same:
            return same, f"threads inside {system.removesuffix('-pool').upper()} calls hold connections of some pool"
    return [], ""


def _pool_locks(dump: Dump, pools: Sequence[PoolJoin], verdicts: Sequence[Verdict]) -> list[ContendedLock]:
    result = []
    for pool in pools:
        ids = {lock_id(dump.threads[index]) for index in pool.waiters}
        shared = ids.pop() if len(ids) == 1 else None
        used = integration(verdicts[pool.waiters[0]], dump.family)
        result.append(
            ContendedLock(
                id=shared or f"pool:{pool.name}",
                class_name=used.name if used else pool.name,
                type="pool",
                owner=None,
                waiting=[dump.threads[index].name for index in pool.waiters],
                owner_unknown=f"{len(pool.holders)} threads probably hold the slots ({pool.reason})"
                if pool.holders
                else "the holders of a pool's slots are not printed, and no thread here is in a call of this pool",
            )
        )
    return result


def _convoy_lock(dump: Dump, verdicts: Sequence[Verdict], convoy: Convoy) -> ContendedLock:
    owner = None
    if convoy.owner is not None:
        owner = _owner(dump, verdicts, convoy.owner, "inferred")
    return ContendedLock(
        id=convoy.id,
        class_name=convoy.lock,
        type=convoy.type,
        owner=owner,
        waiting=[dump.threads[index].name for index in convoy.waiters],
        owner_unknown=convoy.reason if owner is None else None,
    )


# Chains


class _Chains:
    """Builds one tree for each root: a thread, a group of slot holders, or a deadlock that others wait behind."""

    def __init__(
        self,
        dump: Dump,
        verdicts: Sequence[Verdict],
        groups: Sequence[Group],
        group_of: Sequence[int],
        graph: WaitGraph,
        cycles: list[list[int]],
    ) -> None:
        self.threads = dump.threads
        self.family = dump.family
        self.verdicts, self.groups, self.group_of = verdicts, groups, group_of
        self.graph, self.cycles = graph, cycles
        self.waits_for_pool = {index for pool in graph.pools if pool.holders for index in pool.waiters}

    def build(self) -> list[Chain]:
        chains = [self._chain(members) for members in self._roots()]
        return sorted((chain for chain in chains if chain.waiting), key=lambda chain: -chain.waiting)

    def _roots(self) -> list[list[int]]:
        in_cycle = {index for cycle in self.cycles for index in cycle}
        roots: dict[object, list[int]] = {}
        for index in sorted({*self.graph.waiters, *self.graph.slots} - in_cycle):
            if index in self.graph.owner_of or index in self.waits_for_pool:
                continue
            key: object = index
            if index not in self.graph.waiters:
                key = (self.group_of[index], tuple(self.graph.slots[index]))
            roots.setdefault(key, []).append(index)
        return [sorted(members) for members in roots.values()] + self.cycles

    def _chain(self, members: list[int]) -> Chain:
        seen = set(members)
        tree = self._children(members, seen, 0)
        waiting = self.graph.behind(members)
        first = self.verdicts[members[0]]
        nodes = list(_walk(tree))
        bases = {node.evidence for node in nodes}
        basis: Basis = bases.pop() if len(bases) == 1 else "mixed"
        reasons = dict.fromkeys(node.reason for node in nodes if node.reason)
        root = Root(
            threads=[self.threads[i].name for i in members],
            lines=[self.threads[i].line for i in members],
            group=self.groups[self.group_of[members[0]]].id,
            kind=first.kind,
            phase=first.phase,
            blocking_frame=first.blocking_frame,
            caller=first.caller,
            integration=integration(first, self.family) if first.kind not in QUIET else None,
            timed=first.timed,
        )
        depth = max(waiting.values(), default=0)
        return Chain(root, len(waiting), depth, basis, "; ".join(reasons) or None, tree)

    def _children(self, members: Sequence[int], seen: set[int], level: int) -> list[WaitNode]:
        """The threads directly behind these, grouped, with what is behind them in turn."""
        nodes: list[WaitNode] = []
        if level >= TREE_DEPTH:
            return nodes
        by_lock: dict[tuple[str | None, int], list[int]] = defaultdict(list)
        for member in members:
            for waiter in self.graph.waiters.get(member, ()):
                if waiter not in seen:
                    by_lock[self._lock(waiter)[0], self.group_of[waiter]].append(waiter)
        for waiting in by_lock.values():
            seen.update(waiting)
            nodes.append(self._node(waiting, None, seen, level))
        for number in dict.fromkeys(n for member in members for n in self.graph.slots.get(member, ())):
            pool = self.graph.pools[number]
            by_group: dict[int, list[int]] = defaultdict(list)
            for waiter in pool.waiters:
                if waiter not in seen:
                    by_group[self.group_of[waiter]].append(waiter)
            for waiting in by_group.values():
                seen.update(waiting)
                nodes.append(self._node(waiting, pool, seen, level))
        return sorted(nodes, key=lambda node: -node.count)

    def _lock(self, index: int) -> tuple[str | None, str | None]:
        """Id and class of the lock a thread waits for; the place in the source where only that is known."""
        convoy = self.graph.convoy_of.get(index)
        if convoy is not None:
            return convoy.id, convoy.lock
        lock = self.threads[index].blocked_on or self.threads[index].waiting_on
        return (lock.id, lock.class_name) if lock is not None else (None, None)

    def _node(self, waiting: list[int], pool: PoolJoin | None, seen: set[int], level: int) -> WaitNode:
        first = self.verdicts[waiting[0]]
        convoy = self.graph.convoy_of.get(waiting[0])
        lock, lock_class = self._lock(waiting[0])
        initialising = not pool and lock is not None and lock.startswith(CLASS_INIT)
        used = integration(first, self.family) if pool else None
        return WaitNode(
            group=self.groups[self.group_of[waiting[0]]].id,
            kind=first.kind,
            caller=first.caller,
            count=len(waiting),
            threads=[self.threads[i].name for i in waiting],
            lock=lock if not pool else None,
            lock_class=used.name if used else lock_class,
            evidence="inferred" if pool or convoy or initialising else "reported",
            reason=pool.reason if pool else convoy.reason if convoy else INITIALISER if initialising else None,
            children=self._children(waiting, seen, level + 1),
        )


def _walk(nodes: Iterable[WaitNode]) -> Iterable[WaitNode]:
    pending = list(nodes)
    while pending:
        node = pending.pop()
        yield node
        pending += node.children
