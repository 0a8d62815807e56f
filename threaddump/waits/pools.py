"""Who holds the slots of a pool. No runtime prints it: it is inferred, with its reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain

from threaddump.classify import Classifier, Verdict
from threaddump.code.locks import SourceLocks
from threaddump.groups import integration, lock_id, pool_name
from threaddump.report import ContendedLock
from threaddump.waits.graph import PoolJoin
from threaddump_parsers.model import Dump

LEASING_FRAMES = 3
"""How many application frames below a pool wait may be the method that leases and then uses the slot."""
LEASE_METHODS = (".getConnection", ".borrowObject", ".getResource")
"""Ends of the methods of pools that applications call to lease, and pair with a close or return of their own."""
CONNECTING = frozenset({"connect", "login", "handshake", "resolve"})
"""Phases of a call in which there is no connection yet that could be used."""
WORKING = frozenset({"external-call", "io", "running", "sleep", "lock-wait", "sync-wait", "queue-put"})


def find_pools(
    dump: Dump, verdicts: Sequence[Verdict], classifier: Classifier, source_locks: SourceLocks | None = None
) -> list[PoolJoin]:
    """Join pool waiters to the threads that probably hold the slots."""
    by_name: dict[str, list[int]] = defaultdict(list)
    for index, verdict in enumerate(verdicts):
        if verdict.kind == "pool-wait" and verdict.phase != "throttle":  # a rate has no slots that somebody holds
            by_name[pool_name(verdict) or "pool"].append(index)
    pools = [(name, one) for name, waiters in by_name.items() for one in _told_apart(dump, waiters, classifier)]
    systems = Counter(_served_system(verdicts[waiters[0]]) for _, waiters in pools)
    joins = []
    for name, waiters in sorted(pools, key=lambda pool: -len(pool[1])):
        alone = systems[_served_system(verdicts[waiters[0]])] == 1
        holders, reason = _holders(dump, verdicts, classifier, waiters, alone, source_locks)
        making = bool(holders) and all(map(_makes_one, map(verdicts.__getitem__, holders)))
        if making:
            reason = "connecting with no application code below; nobody is seen to hold a slot"
        again = _want_one_more(dump, verdicts, classifier, waiters)
        joins.append(PoolJoin(name, waiters, holders, reason, making, again))
    return joins


def _makes_one(verdict: Verdict) -> bool:
    """Whether the thread makes a connection for the pool: it has none yet, and no application is below it."""
    return verdict.kind == "external-call" and verdict.phase in CONNECTING and not verdict.app_frames


def _want_one_more(
    dump: Dump, verdicts: Sequence[Verdict], classifier: Classifier, waiters: Sequence[int]
) -> tuple[int, ...]:
    """Waiters below a method that others lease in, past the line where they do: each probably holds what that leased.

    Methods that only hand the lease on, the same on top of both, are passed over. Where a library leases for the
    application (a template, a session), it also gives back before it returns: the lease has to be the application's.
    """
    if dump.family != "jvm":
        return ()
    paths = {}
    own = set()
    for index in waiters:
        app = set(verdicts[index].app_frames)
        stack = dump.threads[index].stack
        keys = [classifier.key(frame) for frame in stack]
        paths[index] = [(key, frame.line) for key, frame in zip(keys, stack, strict=True) if key in app]
        first = next((position for position, key in enumerate(keys) if key in app), 0)
        if first and keys[first - 1].endswith(LEASE_METHODS):
            own.add(tuple(paths[index][:LEASING_FRAMES]))
    leases: dict[tuple[str, tuple[str, ...]], set[int]] = defaultdict(set)
    for leasing in own:
        for depth, (key, line) in enumerate(leasing):
            if line is not None:
                leases[key, tuple(key for key, _ in leasing[:depth])].add(line)
    found = []
    for index, path in paths.items():
        keys = [key for key, _ in path]
        for depth in range(min(LEASING_FRAMES, len(path))):
            above = tuple(keys[:depth])
            beyond = [(key, line) for key, line in path[depth + 1 :] if line is not None]
            if any(line > min(leased) for key, line in beyond if (leased := leases.get((key, above)))):
                found.append(index)
                break
    return tuple(found)


def _told_apart(dump: Dump, waiters: Sequence[int], classifier: Classifier) -> list[list[int]]:
    """The waiters of each pool of one library: by the pool's object, or the object they all park on.

    Some pools park each waiter on an object of its own, and compiled waits lose it: such waiters stay together.
    """
    printed = [next(iter(classifier.pool_objects(dump.threads[index])), None) for index in waiters]
    objects = [pool or lock_id(dump.threads[index]) for pool, index in zip(printed, waiters, strict=True)]
    shared = {one for one, count in Counter(objects).items() if one is not None and count > 1} | set(printed) - {None}
    parts: dict[str | None, list[int]] = defaultdict(list)
    for index, one in zip(waiters, objects, strict=True):
        parts[one if one in shared else None].append(index)
    if len(parts) == 2 and None in parts:
        return [sorted(chain.from_iterable(parts.values()))]  # one pool, and some whose object is not known
    return list(parts.values())


def _served_system(verdict: Verdict) -> str | None:
    """``jdbc`` for a pool of JDBC connections; None for pools of anything."""
    system = verdict.entry.system if verdict.entry is not None else None
    return system.removesuffix("-pool") if system is not None and system.endswith("-pool") else None


def _inside_the_block(
    verdicts: Sequence[Verdict], waiters: Sequence[int], locks: SourceLocks | None
) -> tuple[list[int], str]:
    """Threads inside the block of a ``with`` statement in which the waiters wait, by the source."""
    names = {} if locks is None else {locks.leases[i].key: locks.leases[i] for i in waiters if i in locks.leases}
    if locks is None or not names:
        return [], ""
    inside = [
        index
        for index, used in locks.uses.items()
        if verdicts[index].kind in WORKING and any(one.key in names for one in used)
    ]
    which = _some({name.name for name in names.values()})
    return inside, f"by the source they are inside a block of `with {which}`, which the waiters want to enter"


def _holders(
    dump: Dump,
    verdicts: Sequence[Verdict],
    classifier: Classifier,
    waiters: Sequence[int],
    alone: bool,
    source_locks: SourceLocks | None,
) -> tuple[list[int], str]:
    """The threads that probably hold the slots, and why we think so; the strongest reason that finds any.

    ``alone``: no other pool of this system is waited for.
    """
    working = [i for i, v in enumerate(verdicts) if v.kind in WORKING]
    calling = [i for i in working if verdicts[i].kind == "external-call"]
    alike = list({id(verdicts[i]): verdicts[i] for i in waiters}.values())

    for address in classifier.pool_objects(dump.threads[waiters[0]]):
        same = [i for i in working if address in classifier.pool_objects(dump.threads[i])]
        if same:
            return same, f"the same pool object {address} in the local variables of both"
    same, reason = _inside_the_block(verdicts, waiters, source_locks)
    if same:
        return same, reason
    library = alike[0].library
    callers = {verdict.caller for verdict in alike if verdict.caller is not None}
    if library is not None:
        same = [i for i in calling if verdicts[i].library == library and verdicts[i].caller in callers]
        if same:
            return same, f"the same client below the same caller {_some(callers)}"
    system = _served_system(alike[0])
    served = [i for i in calling if (e := verdicts[i].entry) is not None and e.system == system] if system else []
    for depth in range(LEASING_FRAMES):
        frames = {verdict.app_frames[depth] for verdict in alike if len(verdict.app_frames) > depth}
        for candidates, doing in ((calling, "inside a call"), (working, "at work")):
            same = [i for i in candidates if not frames.isdisjoint(verdicts[i].app_frames)]
            if not same:
                continue
            if alone and set(same) < set(served):
                break  # with one pool for all of them, calls from elsewhere hold its slots, too
            below = _some({frame for frame in frames if any(frame in verdicts[i].app_frames for i in same)})
            return same, f"both are below {below}: the waiters lease there, these threads are {doing} further on"
    if library is not None:
        same = [i for i in calling if verdicts[i].library == library]
        if same:
            return same, "calls of the same client library, from other callers"
    if served and system is not None:
        which = "no other such pool is waited for" if alone else "of which pool is not printed"
        return served, f"threads inside {system.upper()} calls hold connections; {which}"
    return [], ""


def _some(names: set[str]) -> str:
    """One name, or the first and how many more."""
    first = min(names)
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more"


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
                waiting=[dump.threads[index].label for index in pool.waiters],
                owner_unknown=f"{_count(pool.holders)} probably {_what(pool)} ({pool.reason})"
                if pool.holders
                else "the holders of a pool's slots are not printed, and no thread here is in a call of this pool",
            )
        )
    return result


def _count(threads: Sequence[int]) -> str:
    return f"{len(threads)} thread{'s' * (len(threads) != 1)}"


def _what(pool: PoolJoin) -> str:
    """``hold the slots``, with the verb for their number."""
    one = "s" * (len(pool.holders) == 1)
    return f"make{one} new ones" if pool.making else f"hold{one} the slots"
