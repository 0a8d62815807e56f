"""Wait chains: a root, and all threads that wait behind it, as a tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from threaddump.classify import CLASS_INIT, Verdict, is_unnamed_class
from threaddump.groups import QUIET, integration
from threaddump.report import Basis, Chain, Group, Root, WaitNode
from threaddump.waits.graph import PoolJoin, WaitGraph
from threaddump.waits.owners import INITIALISER, ONLY_INITIALISER
from threaddump_parsers.model import Dump, Lock

TREE_DEPTH = 40
"""Levels of a wait tree that are drawn; threads further behind are counted all the same."""


class ChainBuilder:
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
            if index in self.graph.owner_of or index in self.graph.awaits or index in self.waits_for_pool:
                continue
            key: object = index
            behind = self.graph.waiters.get(index, ())
            if not behind:
                key = (self.group_of[index], tuple(self.graph.slots[index]))
            elif all(waiter in self.graph.awaits for waiter in behind):
                if self.verdicts[index].kind in QUIET:
                    continue  # a task without work that is waited for all the same: a server's, a consumer's
                key = (self.group_of[index], tuple(behind), tuple(self.graph.slots.get(index, ())))
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
            threads=[self.threads[i].label for i in members],
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
        for waiting in map(list, map(dict.fromkeys, by_lock.values())):  # a task may wait for several of the members
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
        initialising = None
        if not pool and lock is not None and lock.startswith(CLASS_INIT):
            initialising = INITIALISER
        elif not pool and lock_class is not None and is_unnamed_class(Lock(lock, lock_class)):
            initialising = ONLY_INITIALISER
        used = integration(first, self.family) if pool else None
        return WaitNode(
            group=self.groups[self.group_of[waiting[0]]].id,
            kind=first.kind,
            caller=first.caller,
            count=len(waiting),
            threads=[self.threads[i].label for i in waiting],
            lock=lock if not pool else None,
            lock_class=used.name if used else lock_class,
            evidence="inferred" if pool or convoy or initialising else "reported",
            reason=pool.reason if pool else convoy.reason if convoy else initialising,
            children=self._children(waiting, seen, level + 1),
        )


def _walk(nodes: Iterable[WaitNode]) -> Iterable[WaitNode]:
    pending = list(nodes)
    while pending:
        node = pending.pop()
        yield node
        pending += node.children
