"""What the readers of dumps printed by Java's own library share.

``ThreadInfo``, ``ThreadDumper`` and their users print frames as ``StackTraceElement.toString`` does, states as the bare
names of ``Thread.State``, and objects as class and identity hash (``com.shop.Account@2c361df7``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from threaddump_parsers.java_frames import java_frame
from threaddump_parsers.model import Dump, Frame, Held, Lock, Problem, Stack, Thread

STATES = frozenset({"NEW", "RUNNABLE", "BLOCKED", "WAITING", "TIMED_WAITING", "TERMINATED"})
MAX_PROBLEMS = 100
MAX_TEXT = 200
_MAX_KNOWN = 100_000

# Ownable synchronizers of the JDK that one thread owns exclusively; a thread parked on one wants to own it.
_OWNABLE = ("java.util.concurrent.locks.ReentrantLock$", "java.util.concurrent.locks.ReentrantReadWriteLock$")


class Interned:
    """The frames, stacks and locks of one input, equal ones once."""

    __slots__ = ("_frames", "_locks", "_stacks")

    def __init__(self) -> None:
        self._frames: dict[str, Frame | None] = {}
        self._stacks: dict[Stack, Stack] = {}
        self._locks: dict[str, Lock] = {}

    def frame(self, printed: str) -> Frame | None:
        """The frame that ``StackTraceElement.toString`` printed so, or None where it printed something else."""
        if printed not in self._frames:
            if len(self._frames) > _MAX_KNOWN:
                self._frames.clear()
            self._frames[printed] = java_frame(printed)
        return self._frames[printed]

    def stack(self, frames: list[Frame]) -> Stack:
        stack = tuple(frames)
        return self._stacks.setdefault(stack, stack)

    def lock(self, identity: str) -> Lock | None:
        """The object named ``CLASS@HASH``; None for what is no such name."""
        class_name, at, _ = identity.rpartition("@")
        if not at or not class_name:
            return None
        return self._locks.setdefault(identity, Lock(identity, class_name))

    def forget_locks(self) -> None:
        """Between dumps: the same hash need not be the same object any more."""
        self._locks = {}


def set_wait(thread: Thread, lock: Lock | None, *, wants: bool) -> None:
    """Note what a thread waits for. ``wants``: the dump says that it waits to own it."""
    if lock is None:
        return
    if wants or lock.class_name.startswith(_OWNABLE):
        thread.blocked_on = lock
    else:
        thread.waiting_on = lock


def settle(thread: Thread, monitors: list[Held], synchronizers: Iterable[Held] = ()) -> None:
    """Decide what a thread with a complete stack owns of the monitors that its frames took."""
    in_wait = bool(thread.stack) and thread.stack[0].function.startswith("java.lang.Object.wait")
    # Object.wait gave its monitor up; a thread that wants it back, like any that wants a monitor, has it not.
    waits_for = {lock.id for lock in (thread.blocked_on, thread.waiting_on if in_wait else None) if lock is not None}
    if in_wait:
        released = {held.lock.id: held.lock for held in monitors if held.lock.id in waits_for}
        thread.wait_released = tuple(released.values())
    kept = {held.lock.id: held for held in monitors if held.lock.id not in waits_for}
    for id, held in kept.items():
        if held.depth is not None and held.depth >= len(thread.stack):
            kept[id] = Held(held.lock, None)  # JSON says a number, and the frames may be cut
    thread.holds = (*kept.values(), *synchronizers)


class Owners:
    """Owners that waiting threads name. The owner's own entry need not show the lock: frames may be cut."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[str, tuple[Lock, str | None, int | None]] = {}

    def tell(self, lock: Lock | None, name: str | None, java_id: int | None) -> None:
        if lock is not None and lock.id is not None:
            self._told.setdefault(lock.id, (lock, name, java_id))

    def give(self, threads: list[Thread]) -> None:
        """Let the threads that were named hold what no thread is known to hold."""
        held = {held.lock.id for thread in threads for held in thread.holds} if self._told else set()
        by_id = {thread.java_id: thread for thread in threads if thread.java_id is not None}
        by_name: dict[str, Thread | None] = {}
        for thread in threads if self._told else ():
            by_name[thread.name] = None if thread.name in by_name else thread  # of several with one name it is none
        given: dict[Thread, list[Held]] = {}
        for lock, name, java_id in self._told.values():
            owner = by_id.get(java_id) if java_id is not None else None if name is None else by_name.get(name)
            if owner is not None and lock.id not in held and name in (None, owner.name):
                given.setdefault(owner, []).append(Held(lock, None))
        for owner, locks in given.items():
            owner.holds = (*owner.holds, *locks)
        self._told = {}


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def add_problem(dump: Dump, line: int, reason: str, raw: bytes = b"") -> None:
    if len(dump.problems) < MAX_PROBLEMS:
        dump.problems.append(Problem(line, reason, text(raw[: 4 * MAX_TEXT]).strip()[:MAX_TEXT]))


def release(version: str) -> str:
    """The Java release behind the VM's version: up to Java 8 HotSpot had numbers of its own (25.292-b10 is 8u292)."""
    match = re.match(r"(\d{1,3})\.(\d+)-b\d+", version)
    if match is None:
        return version
    hotspot, update = int(match[1]), match[2]
    if hotspot in (24, 25):
        return f"{hotspot - 17}u{update}"
    return f"{'7' if hotspot >= 21 else '6'} (HotSpot {version})"
