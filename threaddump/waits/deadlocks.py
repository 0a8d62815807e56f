"""Cycles of threads that wait for each other: our own search, joined with what the runtime reports."""

from __future__ import annotations

from collections.abc import Iterable

from threaddump.report import OF_SOURCE, Basis, Deadlock
from threaddump.waits.graph import WaitGraph
from threaddump.waits.owners import lock_type, owner_basis
from threaddump_parsers.model import Dump, Lock


def find_cycles(owner_of: dict[int, int]) -> list[list[int]]:
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


def find_deadlocks(dump: Dump, cycles: list[list[int]], graph: WaitGraph) -> list[Deadlock]:
    found = []
    reported = [frozenset(deadlock.threads) for deadlock in dump.deadlocks]
    seen: list[frozenset[str]] = []
    for cycle in cycles:
        threads = [dump.threads[index] for index in cycle]
        names = frozenset(thread.name for thread in threads)
        seen.append(names)
        wanted = [(i, lock) for i, t in zip(cycle, threads, strict=True) if (lock := t.blocked_on or t.waiting_on)]
        locks = [lock for _, lock in wanted]
        found.append(
            Deadlock(
                threads=[thread.label for thread in threads],
                lines=[thread.line for thread in threads],
                locks=[lock.class_name if (lock.id or "").startswith(OF_SOURCE) else str(lock) for lock in locks],
                type=_cycle_type(locks) if dump.family == "jvm" else dump.family,
                reported_by_runtime=any(names <= printed for printed in reported),
                evidence=_basis("inferred" if i in graph.convoy_of else owner_basis(lock) for i, lock in wanted),
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
    types = {lock_type(lock) for lock in locks}
    if types <= {"other"}:
        return "python"  # locks of Python; without a lock, tasks that wait for each other
    return types.pop() if len(types) == 1 else "mixed"


def _basis(of_edges: Iterable[Basis]) -> Basis:
    bases = set(of_edges) or {"reported"}
    return bases.pop() if len(bases) == 1 else "mixed"
