"""Which task waits for the end of which: printed by the runtime, and to be joined with who waits for whose lock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from threaddump_parsers.model import Thread


def find_awaits(threads: Sequence[Thread]) -> dict[int, list[int]]:
    """Task to the tasks it waits for, as indexes; those that are over are not waited for."""
    if not any(thread.awaits for thread in threads):
        return {}
    index_of = {thread: index for index, thread in enumerate(threads)}
    found = {}
    for index, thread in enumerate(threads):
        awaited = [index_of[task] for task in thread.awaits if task in index_of and task.state != "TERMINATED"]
        if awaited:
            found[index] = awaited
    return found


def decisive(awaits: dict[int, list[int]]) -> dict[int, int]:
    """Task to the one task that decides when it goes on: the only one it waits for, or one that never ends.

    A task that waits for several is stuck for ever if one of them is in a circle of waits, or waits for a circle.
    """
    awaiters: dict[int, list[int]] = defaultdict(list)
    for index, targets in awaits.items():
        for target in targets:
            awaiters[target].append(index)
    # Take away what ends by itself, over and over: what is left waits for a circle.
    left = {index: len(targets) for index, targets in awaits.items()}
    ending = [index for index in awaiters if index not in awaits]
    while ending:
        for index in awaiters.get(ending.pop(), ()):
            left[index] -= 1
            if not left[index]:
                ending.append(index)
    return {
        index: next((target for target in targets if left.get(target)), targets[0])
        for index, targets in awaits.items()
        if left[index] or len(targets) == 1
    }
