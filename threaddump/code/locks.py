"""Locks of Python by their names in the source: who wants which, and who is inside code that holds one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from threaddump.report import OF_SOURCE

_OBJECT = re.compile(
    r"<(?:unlocked |locked )?([\w.]{1,200}) (?:object )?(?:owner=\d+ count=\d+ )?at (0x[0-9a-f]{4,16})"
)


@dataclass(slots=True, frozen=True)
class LockName:
    """A lock by what the source calls it. Two with one ``key`` are one lock, or the same attribute of two objects."""

    key: tuple[str, ...]
    name: str
    """What a report calls it: ``inventory_lock``, ``Account.lock``."""
    variable: str | None = None
    """The variable whose object the lock belongs to; None where there is one such lock only."""
    attribute: str = ""
    """Where in that object; empty where the variable is the lock itself."""

    def of_object(self, printed: str) -> LockName | None:
        """The lock of one object, as the dump prints that; None where it prints no address."""
        found = _OBJECT.search(printed)
        if found is None:
            return None
        of_class, address = found[1].rpartition(".")[2], found[2]
        name = f"{of_class}.{self.attribute} of {address}" if self.attribute else f"{self.name} {address}"
        return replace(self, key=("", address, self.attribute), name=name, variable=None)


@dataclass(slots=True)
class SourceLocks:
    """Indexes of threads to the locks that they want and hold."""

    wants: dict[int, LockName]
    holds: dict[int, list[LockName]]
    at_hand: bool = True
    """The files are at hand. If not, lines that the dump prints are all that is known, and no holder is."""
    leases: dict[int, LockName] = field(default_factory=dict)
    """Threads that wait for a slot of a pool to what their ``with`` statement calls for it: ``pool.connection()``."""
    uses: dict[int, list[LockName]] = field(default_factory=dict)
    """Threads to the calls whose ``with`` blocks they are in."""

    def wanted(self) -> dict[LockName, list[int]]:
        """Each lock that is wanted, and by which threads."""
        found: dict[tuple[str, ...], tuple[LockName, list[int]]] = {}
        for index, lock in self.wants.items():
            found.setdefault(lock.key, (lock, []))[1].append(index)
        return dict(found.values())

    def holders(self, lock: LockName) -> list[int]:
        """The threads that are inside code that holds a lock of this name."""
        return [index for index, held in self.holds.items() if any(one.key == lock.key for one in held)]

    @staticmethod
    def id(lock: LockName) -> str:
        return OF_SOURCE + ":".join(part for part in lock.key if part)
