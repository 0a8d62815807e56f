"""Who waits for whom: lock owners, deadlocks, the threads that hold the slots of a pool, and chains of all of these.

A thread waits for one other thread (the owner of the lock it wants) or for any of several (those that hold the slots of
a pool). The first is printed by the runtime, or inferred from the code that threads stand in (``convoys``); the second
is never printed and so always inferred, with its reason. A task also waits for the ends of other tasks, as printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from threaddump.classify import Classifier, Verdict
from threaddump.code.locks import SourceLocks
from threaddump.report import Chain, ContendedLock, Deadlock, Group
from threaddump.waits.chains import ChainBuilder
from threaddump.waits.convoys import find_convoys
from threaddump.waits.deadlocks import find_cycles, find_deadlocks
from threaddump.waits.graph import PoolJoin, WaitGraph
from threaddump.waits.owners import (
    contended_locks,
    convoy_lock,
    find_initialisers,
    find_owners,
    ownable,
    released,
    wanted,
    wanted_locks,
    wanted_permits,
)
from threaddump.waits.pools import find_pools, pool_locks
from threaddump.waits.tasks import decisive, find_awaits
from threaddump_parsers.model import Dump


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
    dump: Dump,
    verdicts: Sequence[Verdict],
    groups: Sequence[Group],
    group_of: Sequence[int],
    classifier: Classifier,
    source_locks: SourceLocks | None = None,
) -> Waits:
    """Everything that can be said about who waits for whom in this dump.

    ``source_locks``: what the application's source says about locks of Python, where it is at hand.
    """
    threads = dump.threads
    owners = find_owners(dump)
    owner_of: dict[int, int] = {}
    for index, thread in enumerate(threads):
        lock = wanted(thread, owners)
        if lock is not None and lock.id is not None and owners.get(lock.id, index) != index:
            owner_of[index] = owners[lock.id]
    owner_of.update(find_initialisers(dump))
    contended = wanted_locks(dump, verdicts, owner_of)
    virtual = any(thread.virtual for thread in threads)
    unowned = {
        key: waiting
        for key, (lock, waiting) in contended.items()
        if key not in owners and ownable(lock) and not released(lock, dump, virtual=virtual)
    }
    convoys = find_convoys(dump, verdicts, unowned | wanted_permits(dump, verdicts), source_locks)
    for convoy in convoys:
        if convoy.owner is not None:
            owner_of.update((index, convoy.owner) for index in convoy.waiters)
    awaits = find_awaits(threads)
    owner_of = decisive(awaits) | owner_of
    graph = WaitGraph(owner_of, find_pools(dump, verdicts, classifier, source_locks), convoys, awaits)
    cycles = find_cycles(owner_of)
    deadlocks = find_deadlocks(dump, cycles, graph)
    inferred = {convoy.id: convoy for convoy in convoys}
    locks = [
        convoy_lock(dump, verdicts, inferred.pop(key)) if key in inferred else lock
        for key, lock in contended_locks(dump, verdicts, owners, contended).items()
    ]
    locks += pool_locks(dump, graph.pools, verdicts)
    locks += [convoy_lock(dump, verdicts, convoy) for convoy in inferred.values()]
    chains = ChainBuilder(dump, verdicts, groups, group_of, graph, cycles).build()
    return Waits(locks, chains, deadlocks, graph)
