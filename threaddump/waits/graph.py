"""Who waits behind whom, as a graph over threads and pools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from threaddump.waits.convoys import Convoy


@dataclass(slots=True)
class PoolJoin:
    """Threads that wait for a slot of one pool, and those that probably hold the slots."""

    name: str
    waiters: list[int]
    holders: list[int]
    reason: str
    making: bool = False
    """What it calls holders only make new slots: nobody is seen to hold one."""
    again: tuple[int, ...] = ()
    """The waiters that probably hold a slot already, and want one more."""


class WaitGraph:
    """Who waits behind whom, over locks, over the slots of pools and over the ends of tasks."""

    def __init__(
        self,
        owner_of: dict[int, int],
        pools: Sequence[PoolJoin],
        convoys: Sequence[Convoy],
        awaits: Mapping[int, Sequence[int]] = MappingProxyType({}),
    ) -> None:
        self.owner_of = owner_of
        self.pools = pools
        self.convoys = convoys
        self.convoy_of = {index: convoy for convoy in convoys for index in convoy.waiters}
        self.awaits = awaits
        """Task to the tasks whose ends it waits for."""
        self.waiters: dict[int, list[int]] = {}
        """Thread to the threads that want a lock it owns, or wait for its end."""
        self.slots: dict[int, list[int]] = {}
        """Thread to the numbers of the pools whose slots it probably holds."""
        for waiter, owner in owner_of.items():
            self.waiters.setdefault(owner, []).append(waiter)
        for waiter, tasks in awaits.items():
            for task in tasks:
                if owner_of.get(waiter) != task:
                    self.waiters.setdefault(task, []).append(waiter)
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
