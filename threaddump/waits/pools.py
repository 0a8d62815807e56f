"""Who holds the slots of a pool. No runtime prints it: it is inferred, with its reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from threaddump.classify import Classifier, Verdict
from threaddump.groups import integration, lock_id, pool_name
from threaddump.report import ContendedLock
from threaddump.waits.graph import PoolJoin
from threaddump_parsers.model import Dump

LEASING_FRAMES = 3
"""How many application frames below a pool wait may be the method that leases and then uses the slot."""
WORKING = frozenset({"external-call", "io", "running", "sleep", "lock-wait", "sync-wait", "queue-put"})


def find_pools(dump: Dump, verdicts: Sequence[Verdict], classifier: Classifier) -> list[PoolJoin]:
    """Join pool waiters to the threads that probably hold the slots."""
    by_pool: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    for index, verdict in enumerate(verdicts):
        if verdict.kind == "pool-wait":
            name = pool_name(verdict) or "pool"
            by_pool[name, classifier.pool_object(dump.threads[index]) or verdict.caller].append(index)
    joins: dict[tuple[str, tuple[int, ...]], PoolJoin] = {}
    for (name, _), waiters in sorted(by_pool.items(), key=lambda item: -len(item[1])):
        holders, reason = _holders(dump, verdicts, classifier, waiters)
        known = joins.setdefault((name, tuple(holders)), PoolJoin(name, [], holders, reason))
        known.waiters += waiters
    return list(joins.values())


def _holders(
    dump: Dump, verdicts: Sequence[Verdict], classifier: Classifier, waiters: Sequence[int]
) -> tuple[list[int], str]:
    """The threads that probably hold the slots, and why we think so; the strongest reason that finds any."""
    waiter = verdicts[waiters[0]]
    working = [i for i, v in enumerate(verdicts) if v.kind in WORKING]
    calling = [i for i in working if verdicts[i].kind == "external-call"]

    address = classifier.pool_object(dump.threads[waiters[0]])
    if address is not None:
        same = [i for i in working if classifier.pool_object(dump.threads[i]) == address]
        if same:
            return same, f"the same pool object {address} in the local variables of both"
    if waiter.library is not None and waiter.caller is not None:
        same = [i for i in calling if verdicts[i].library == waiter.library and verdicts[i].caller == waiter.caller]
        if same:
            return same, f"the same client below the same caller {waiter.caller}"
    for frame in waiter.app_frames[:LEASING_FRAMES]:
        for candidates, doing in ((calling, "inside a call"), (working, "at work")):
            same = [i for i in candidates if frame in verdicts[i].app_frames]
            if same:
                return same, f"both are below {frame}: the waiters lease there, these threads are {doing} further on"
    if waiter.library is not None:
        same = [i for i in calling if verdicts[i].library == waiter.library]
        if same:
            return same, "calls of the same client library, from other callers"
    system = waiter.entry.system if waiter.entry else None
    if system is not None and system.endswith("-pool"):
        same = [i for i in calling if (e := verdicts[i].entry) is not None and e.system == system.removesuffix("-pool")]
        if same:
            return same, f"threads inside {system.removesuffix('-pool').upper()} calls hold connections of some pool"
    return [], ""


def pool_locks(dump: Dump, pools: Sequence[PoolJoin], verdicts: Sequence[Verdict]) -> list[ContendedLock]:
    result = []
    for pool in pools:
        ids = {lock_id(dump.threads[index]) for index in pool.waiters}
        shared = ids.pop() if len(ids) == 1 else None
        used = integration(verdicts[pool.waiters[0]], dump.family)
        result.append(
            ContendedLock(
                id=shared or f"pool:{pool.name}",
                class_name=used.name if used else pool.name,
                type="pool",
                owner=None,
                waiting=[dump.threads[index].name for index in pool.waiters],
                owner_unknown=f"{len(pool.holders)} threads probably hold the slots ({pool.reason})"
                if pool.holders
                else "the holders of a pool's slots are not printed, and no thread here is in a call of this pool",
            )
        )
    return result
