"""What is kept of a dump to see it as an instance of a tier: its serving threads, its network, the names it uses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from threaddump.findings.facts import Facts
from threaddump.findings.saturation import STUCK
from threaddump.groups import QUIET

_PACKAGES_KEPT = 50
_FRAMES_ABOVE = 3
"""Of the application, counted from the call outwards: further out a frame tells what is served, not what is called."""


@dataclass(slots=True, frozen=True)
class Network:
    """Where a process is found, as the kernel told: only captured dumps have it."""

    host: str | None
    addresses: tuple[str, ...]
    """Of its network namespace, without loopback's."""
    listening: tuple[str, ...]
    accepted: tuple[tuple[str, int], ...]
    """Own addresses that clients have connected to, with the number of established connections."""


@dataclass(slots=True, frozen=True)
class Outline:
    """One dump, as an instance of a tier."""

    serving: str
    """What the threads that serve are called: ``request threads``, ``sched-worker-* threads``."""
    kinds: dict[str, int]
    """Of these threads."""
    blocked: int
    """How many of them wait for something that somebody owes them."""
    packages: frozenset[str]
    """Packages and folders of the application that they stand in."""
    entries: frozenset[str]
    """The outermost application frames: what the service does for its callers."""
    callers: dict[str, tuple[str, ...]]
    """Frame that calls another process to the application frames around it, innermost first."""
    network: Network | None


def outline(facts: Facts) -> Outline:
    """Keep what tiers need of a dump."""
    members, words, request = _serving(facts)
    graph = facts.waits.graph
    waiting = {*graph.owner_of, *graph.convoy_of}
    # Who waits behind an idle owner queues for its place (accept, poll): free as the owner is.
    waiting -= graph.behind(i for i in graph.waiters if facts.verdicts[i].kind in QUIET).keys()
    owners = {index for index in graph.waiters if facts.verdicts[index].kind not in QUIET}
    blocked = sum(
        index in waiting
        or index in owners
        or facts.verdicts[index].kind in STUCK
        or (request and facts.verdicts[index].kind == "sync-wait")
        for index in members
    )
    own = {frames for index in members if (frames := facts.verdicts[index].app_frames)}
    callers = {
        verdict.caller: verdict.app_frames[:_FRAMES_ABOVE]
        for verdict in facts.verdicts
        if verdict.kind == "external-call" and verdict.caller
    }
    packages = Counter(package(frame) for frames in own for frame in frames)
    return Outline(
        words,
        dict(Counter(facts.verdicts[index].kind for index in members)),
        blocked,
        frozenset(name for name, _ in packages.most_common(_PACKAGES_KEPT) if name),
        frozenset(sorted({frames[-1] for frames in own})[:_PACKAGES_KEPT]),
        callers,
        _network(facts.dump.os.process) if facts.dump.os is not None else None,
    )


def _serving(facts: Facts) -> tuple[Sequence[int], str, bool]:
    """The request threads; where none is known the largest pool; else all threads that could work."""
    if facts.request_threads:
        return sorted(facts.request_threads), "request threads", True
    if facts.crews:
        return facts.crews[0].members, facts.crews[0].words, facts.crews[0].request
    return [index for index, verdict in enumerate(facts.verdicts) if verdict.kind != "runtime"], "threads", False


def package(frame: str) -> str:
    """``com.shop.orders`` of ``com.shop.orders.SchedulingGateway.slotFor``, ``orders`` of ``orders/api.py:place``."""
    path, colon, _ = frame.rpartition(":")
    if colon and path:
        return path.replace("\\", "/").rpartition("/")[0]
    return frame.rpartition(".")[0].rpartition(".")[0]


def _network(process: dict[str, Any]) -> Network:
    def texts(name: str) -> tuple[str, ...]:
        value = process.get(name)
        return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()

    rows = process.get("connections")
    accepted: Counter[str] = Counter()
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("state") == "ESTABLISHED":
            address, count = row.get("from"), row.get("count")
            if isinstance(address, str) and isinstance(count, int):
                accepted[address] += count
    host = process.get("host")
    return Network(
        host if isinstance(host, str) else None,
        texts("addresses"),
        texts("listening"),
        tuple(sorted(accepted.items())),
    )
