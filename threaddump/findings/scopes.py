"""Task scopes whose owner waits for tasks that all wait themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from threaddump.findings.facts import KIND_WORDS, Facts, short
from threaddump.report import Finding
from threaddump_parsers.model import Container

JOIN = "jvm.sync.structured"
"""The catalog's entry of ``StructuredTaskScope.join``."""
STUCK = frozenset({"external-call", "lock-wait", "pool-wait", "queue-put", "sync-wait", "io"})
_MANY = 10


def scope_tasks_stuck(facts: Facts) -> Iterable[Finding]:
    """A scope ends when its tasks have ended, and all of them wait in one place: so does whoever opened it."""
    scopes = [container for container in facts.dump.containers if container.owner is not None]
    if not scopes:
        return
    tasks: dict[Container, list[int]] = {scope: [] for scope in scopes}
    by_id: dict[int, int] = {}
    for index, thread in enumerate(facts.dump.threads):
        if thread.container in tasks:
            tasks[thread.container].append(index)
        if thread.java_id is not None:
            by_id[thread.java_id] = index
    owners: dict[int, list[int]] = defaultdict(list)
    members: dict[int, list[int]] = defaultdict(list)
    for scope, inside in tasks.items():
        owner = by_id.get(scope.owner or 0)
        places = {facts.group_of[index] for index in inside}
        if owner is not None and _joins(facts, owner) and len(inside) > 1 and len(places) == 1:
            (place,) = places
            if facts.groups[place].kind in STUCK and not _joins(facts, inside[0]):
                owners[place].append(owner)
                members[place] += inside
    for place, waiting in owners.items():
        yield _finding(facts, place, waiting, members[place])


def _joins(facts: Facts, index: int) -> bool:
    entry = facts.verdicts[index].entry
    return entry is not None and entry.id == JOIN


def _finding(facts: Facts, place: int, owners: list[int], tasks: list[int]) -> Finding:
    group = facts.groups[place]
    where = short(group.caller or group.blocking_frame)
    if len(owners) == 1:
        who = f'"{facts.dump.threads[owners[0]].label}" waits for {len(tasks)} tasks of its scope'
    else:
        who = f"the owners of {len(owners)} task scopes wait for {len(tasks)} tasks"
    untimed = sum(facts.verdicts[index].timed is False for index in owners)
    limit = ""
    if untimed:
        limit = " The scope has no timeout." if len(owners) == 1 else f" {untimed} of these scopes have no timeout."
    return facts.finding(
        "scope-tasks-stuck",
        "medium" if len(tasks) >= _MANY else "low",
        f"{who}, all {KIND_WORDS[group.kind]} in {where}",
        f"A scope's join returns when its tasks have ended or one of them has failed: the tasks decide.{limit}",
        [*owners, *tasks],
        [
            "give the scope a timeout: StructuredTaskScope.open(joiner, config -> config.withTimeout(duration)), "
            "joinUntil up to Java 24",
            f"bound what the tasks do in {where}: cancelling a scope only interrupts them",
        ],
        group=group.id,
    )
