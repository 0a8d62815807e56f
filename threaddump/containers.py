"""Thread containers of a dump (executors, task scopes) with what their threads do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from threaddump.report import Group, ThreadContainer
from threaddump_parsers.model import Container, Dump


def thread_containers(dump: Dump, groups: Sequence[Group], group_of: Sequence[int]) -> list[ThreadContainer]:
    """The containers that the dump lists, in its order, empty ones included."""
    if not dump.containers:
        return []
    inside: dict[Container, Counter[int]] = {container: Counter() for container in dump.containers}
    for thread, group in zip(dump.threads, group_of, strict=True):
        if thread.container is not None and thread.container in inside:
            inside[thread.container][group] += 1
    owners = {container.owner for container in dump.containers} - {None}
    labels = {thread.java_id: (thread.label, thread.line) for thread in dump.threads if thread.java_id in owners}
    found = []
    for container, counts in inside.items():
        kinds: Counter[str] = Counter()
        for group, count in counts.items():
            kinds[groups[group].kind] += count
        unlisted = f"#{container.owner}" if container.owner is not None else None
        owner, line = labels.get(container.owner, (unlisted, None))
        found.append(
            ThreadContainer(
                name=container.name,
                parent=container.parent,
                owner=owner,
                owner_line=line,
                threads=counts.total(),
                by_kind=dict(kinds.most_common()),
                groups={groups[group].id: count for group, count in counts.most_common()},
            )
        )
    return found
