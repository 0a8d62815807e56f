"""What the rules know about a dump, and the words and measures that several of them share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from threaddump import catalog
from threaddump.catalog import ThreadNames, glob_test
from threaddump.classify import Classifier, Verdict
from threaddump.groups import QUIET, crew_name
from threaddump.naming import last_segments
from threaddump.report import Evidence, Finding, Group, Integration, Root, Severity
from threaddump.waits import Waits
from threaddump_parsers.model import Dump

EVIDENCE_THREADS = 3
DEFAULT_NAMES = frozenset({"Thread-", "Timer-"})
"""Names that threads get when nobody names them: they have nothing in common."""


@dataclass(slots=True, frozen=True, eq=False)
class Crew:
    """Threads that do the same work: the request threads, or a pool told by its threads' names."""

    label: str
    members: tuple[int, ...]
    request: bool
    pool: ThreadNames | None = None
    """The user's own rule that names it."""

    @property
    def words(self) -> str:
        """What its threads are called: ``request threads``, ``sched-worker-* threads``, ``checkout threads``."""
        return self.label if self.request and self.pool is None else f"{self.label}{'*' * (not self.pool)} threads"

    @property
    def capacity(self) -> int:
        """How many threads it has, or may grow to where the user's own rules say so."""
        return max(len(self.members), (self.pool and self.pool.size) or 0)

    @property
    def size_words(self) -> str:
        """`` (size 50)``, `` (the pool may grow to 50)``, empty where its size is not known."""
        if self.pool is None or self.pool.size is None:
            return ""
        return f" ({'size' if len(self.members) >= self.pool.size else 'the pool may grow to'} {self.pool.size})"


@dataclass(slots=True, frozen=True, eq=False)
class Cut:
    """The root of wait chains: recovery begins there, not at the threads that wait behind it."""

    roots: tuple[Root, ...]
    """Several where threads at different places hold the slots of one pool."""
    threads: frozenset[int]
    behind: frozenset[int]
    cycle: bool
    """The root is a deadlock."""

    @property
    def reach(self) -> frozenset[int]:
        return self.threads | self.behind

    @property
    def words(self) -> str:
        """The root in a sentence."""
        if self.cycle:
            return "the deadlock of " + " and ".join(f'"{name}"' for name in self.roots[0].threads[:2])
        said = [place_words(r.threads, r.kind, r.caller or r.blocking_frame) for r in self.roots[:2]]
        more = sum(root.count for root in self.roots[2:])
        return " and ".join(said) + (f" and {more} more" if more else "")


@dataclass(frozen=True, eq=False)
class Facts:
    """One dump with all that was concluded before the rules run."""

    dump: Dump
    verdicts: Sequence[Verdict]
    groups: Sequence[Group]
    group_of: Sequence[int]
    waits: Waits
    classifier: Classifier
    stuck_after_ms: int = 5_000
    """A call that has been waiting so long is stuck; only captured dumps tell."""
    has_sources: bool = False
    """The application's source code is at hand."""
    unused_sources: Sequence[str] = ()
    """Why some of it was not used."""

    @cached_property
    def members(self) -> dict[str, list[int]]:
        """Group id to the indexes of its threads."""
        found: dict[str, list[int]] = defaultdict(list)
        for index, number in enumerate(self.group_of):
            found[self.groups[number].id].append(index)
        return found

    @cached_property
    def crew_names(self) -> list[str]:
        return [crew_name(thread.name) for thread in self.dump.threads]

    @cached_property
    def own_pools(self) -> dict[int, ThreadNames]:
        """Threads that the user's own rules know by name, and their pool: the first that matches."""
        pools = [(glob_test(glob), pool) for glob, pool in self.classifier.catalog.own_pools]
        if not pools:
            return {}
        names = [thread.name for thread in self.dump.threads]
        found = {index: next((pool for test, pool in pools if test(name)), None) for index, name in enumerate(names)}
        return {index: pool for index, pool in found.items() if pool is not None}

    @cached_property
    def request_threads(self) -> frozenset[int]:
        """Threads that serve requests: their stack shows a request, or their name a server's request pool."""
        names = self.classifier.catalog.thread_names
        by_name: dict[str, bool] = {}
        found = set()
        for index, (thread, verdict) in enumerate(zip(self.dump.threads, self.verdicts, strict=True)):
            prefix = self.crew_names[index]
            known = by_name.get(prefix) if prefix else None
            if known is None:
                # An acceptor carries the name of the pool it feeds: being in the background counts for more.
                known = by_name[prefix] = {n.role for n in names.find(thread.name)} == {"request"}
            if verdict.request or known:
                found.add(index)
        # The idle threads of a pool whose other members serve requests are request threads at rest.
        serving = {self.crew_names[index] for index in found} - {""}
        resting = {
            index
            for index, verdict in enumerate(self.verdicts)
            if verdict.kind == "idle" and self.crew_names[index] in serving
        }
        own = {index: pool.role for index, pool in self.own_pools.items() if pool.role}
        return frozenset((found | resting).difference(own) | {i for i, role in own.items() if role == "request"})

    @cached_property
    def crews(self) -> list[Crew]:
        """The request threads as one crew, then pools told by names, largest first; the user's own are apart."""
        by_name: dict[str | ThreadNames, list[int]] = defaultdict(list)
        if self.named_only:
            return []
        for index, name in enumerate(self.crew_names):
            if index in self.own_pools:
                by_name[self.own_pools[index]].append(index)
            elif name in DEFAULT_NAMES or self.dump.threads[index].virtual:
                continue  # of no pool: virtual threads and tasks are as many as there is work
            elif name and index not in self.request_threads and self.verdicts[index].kind != "runtime":
                by_name[name].append(index)
        crews = [self._crew(name, found) for name, found in by_name.items() if len(found) > 1]
        crews.sort(key=lambda crew: -len(crew.members))
        serving = self.request_threads.difference(self.own_pools)
        if serving:
            label = "request goroutines" if self.on_demand else "request threads"
            crews.insert(0, Crew(label, tuple(sorted(serving)), True))
        return crews

    @cached_property
    def named_only(self) -> bool:
        """Whether the dump has no stack at all: a javacore's section LOCKS alone names those that hold and wait."""
        return not any(thread.stack for thread in self.dump.threads)

    def _crew(self, name: str | ThreadNames, members: Sequence[int]) -> Crew:
        if isinstance(name, str):
            return Crew(name, tuple(members), False)
        serving = 2 * len(self.request_threads.intersection(members)) > len(members)
        return Crew(name.label, tuple(members), serving, name)

    @cached_property
    def crew_of(self) -> list[Crew | None]:
        """Each thread's crew."""
        found: list[Crew | None] = [None] * len(self.verdicts)
        for crew in self.crews:
            for index in crew.members:
                found[index] = crew
        return found

    def crew(self, threads: Sequence[int]) -> Crew | None:
        """The crew that most of these threads belong to, None where more than half belong to none."""
        counts = Counter(map(self.crew_of.__getitem__, threads))
        crew, count = max(counts.items(), key=lambda item: item[1], default=(None, 0))
        return crew if 2 * count >= len(threads) else None

    def share(self, threads: Sequence[int]) -> tuple[float, Crew | None]:
        """How much of their crew these threads are; of all threads with work to do where they are of no crew."""
        crew = self.crew(threads)
        if crew is not None:
            return sum(self.crew_of[index] is crew for index in threads) / crew.capacity, crew
        return len(threads) / max(self.able, 1), None

    def takes_most(self, threads: Sequence[int]) -> bool:
        """Whether these are half of the request threads, or half of all threads that could work."""
        crew = self.crew(threads)
        if self.named_only:
            return False
        if crew is not None and crew.request:
            return self.share(threads)[0] >= 0.5
        return 2 * len(threads) >= self.able

    @property
    def on_demand(self) -> bool:
        """A goroutine is started for its work: an idle one is no worker that is free."""
        return self.dump.family == "go"

    @cached_property
    def able(self) -> int:
        """Threads that could work: all but those of the runtime itself."""
        quiet = QUIET if self.on_demand else {"runtime"}
        return sum(verdict.kind not in quiet for verdict in self.verdicts)

    @cached_property
    def cuts(self) -> list[Cut]:
        """The roots of the wait chains, the one with most threads behind it first: where a standstill is to be cut."""
        by_line = {thread.line: index for index, thread in enumerate(self.dump.threads)}
        chains: dict[frozenset[int], list[tuple[Root, list[int]]]] = defaultdict(list)
        for chain in self.waits.chains:
            threads = [by_line[line] for line in chain.root.lines if line in by_line]
            if threads:
                chains[frozenset(self.waits.graph.behind(threads))].append((chain.root, threads))
        found = []
        for behind, same in chains.items():
            members = frozenset(index for _, threads in same for index in threads)
            cycle = all(index in self.waits.graph.owner_of for index in members)
            if cycle or same[0][0].kind not in QUIET:
                found.append(Cut(tuple(root for root, _ in same), members, behind, cycle))
        return found

    def cut(self, threads: Sequence[int]) -> Cut | None:
        """What most of these threads are, or wait behind, in the end; None where they have no root in common."""
        best = max(self.cuts, key=lambda cut: len(cut.reach.intersection(threads)), default=None)
        return best if best is not None and 2 * len(best.reach.intersection(threads)) > len(threads) else None

    def profile(self, used: Integration | None) -> dict[str, Any]:
        """The library profile behind an integration; an empty one for what has none."""
        if used is None:
            return {}
        return self.classifier.catalog.profiles.get(used.id) or catalog.libraries(self.dump.family).get(used.id, {})

    def names(self, threads: Iterable[int]) -> list[str]:
        return [self.dump.threads[index].label for index in threads]

    def evidence(self, threads: Iterable[int]) -> list[Evidence]:
        """The first few threads with the input line of their entry and the frame they are blocked in."""
        found = []
        # Goroutines that a profile has counted are one entry of the input: it is cited once.
        entries = {id(self.dump.threads[index]): index for index in reversed(list(threads))}
        for index in list(reversed(entries.values()))[:EVIDENCE_THREADS]:
            thread, verdict = self.dump.threads[index], self.verdicts[index]
            where = verdict.blocking_frame or thread.printed_state or ""
            below = f" < {verdict.caller}" if verdict.caller and verdict.caller != where else ""
            below += f", {verdict.inferred}" if verdict.inferred else ""
            found.append(Evidence(thread.label, thread.line, where + below))
        return found

    def finding(
        self,
        rule: str,
        severity: Severity,
        title: str,
        detail: str,
        threads: Sequence[int],
        advice: Sequence[str],
        recovery: Sequence[str] = (),
        group: str | None = None,
    ) -> Finding:
        """A finding about these threads."""
        return Finding(
            id=rule,
            severity=severity,
            title=title,
            detail=detail,
            threads=len(threads),
            thread_names=self.names(threads),
            evidence=self.evidence(threads),
            advice=list(advice),
            recovery=list(recovery),
            group=group,
            reach=len(threads) + len(set(self.waits.graph.behind(threads)).difference(threads)),
        )


KIND_WORDS = {
    "external-call": "in external calls",
    "pool-wait": "waiting for a slot of a pool",
    "lock-wait": "waiting for a lock",
    "sync-wait": "waiting for another thread",
    "queue-put": "waiting for room in a queue",
    "io": "in file or pipe I/O",
    "sleep": "asleep",
    "running": "running",
    "idle": "idle",
    "unknown": "in a frame whose kind is not known",
}
"""What a count of threads of one kind is called in a sentence."""


def place_words(threads: Sequence[str], kind: str, where: str | None) -> str:
    """``the 450 threads in external calls in Gateway.request``, ``"worker-1", asleep in HolidayFeed.pause``."""
    if len(threads) > 1:
        return f"the {len(threads)} threads {KIND_WORDS.get(kind, kind)} in {short(where)}"
    doing = "in an external call" if kind == "external-call" else KIND_WORDS.get(kind, kind)
    return f'"{threads[0]}", {doing} in {short(where)}'


def knobs(profile: dict[str, Any], phases: Sequence[str]) -> list[str]:
    """``knob (default: value)`` for the timeouts of these phases."""
    return [
        f"{timeout['knob']} (default: {timeout['default']})"
        for timeout in profile.get("timeouts", ())
        if timeout.get("phase") in phases
    ]


def infinite_by_default(profile: dict[str, Any], phases: Sequence[str]) -> bool:
    """Whether the library waits for ever in one of these phases unless told otherwise."""
    return any(
        timeout.get("infinite_by_default") for timeout in profile.get("timeouts", ()) if timeout.get("phase") in phases
    )


def short(function: str | None) -> str:
    """``SchedulingGateway.slotFor`` of ``com.shop.orders.SchedulingGateway.slotFor``; Python names stay."""
    if function is None:
        return "an unknown caller"
    if ":" in function:
        return function
    return last_segments(function)


def home(name: str) -> str:
    """Where a function is written: the outer class of a Java one, the file of a Python one."""
    if ":" in name:
        return name.rpartition(":")[0]
    return name.rpartition(".")[0].partition("$")[0]


def short_class(name: str | None) -> str:
    """``LegacyCalendar`` of ``com.shop.LegacyCalendar``, ``ReentrantLock`` of its inner ``NonfairSync``."""
    if not name:
        return "a lock"
    if name.startswith(("lock ", "logging ")):
        return f"the {name}"
    prefix, _, of_class = name.rpartition(" for ")
    last = of_class.rpartition(".")[2]
    if last.endswith(";"):
        last = last.rstrip(";") + "[]"  # a [Ljava.lang.String;
    if last.endswith(("$NonfairSync", "$FairSync", "$Sync")):
        last = last.rpartition("$")[0]
    return f"the class {last}" if prefix else last


def of_crew(threads: Sequence[int], crew: Crew | None) -> str:
    """``450 of 500 request threads``, ``24 of 25 sched-worker-* threads``, ``12 threads``."""
    if crew is None or not set(threads) <= set(crew.members):
        return f"{len(threads)} thread{'s' if len(threads) != 1 else ''}"
    return f"{len(threads)} of {len(crew.members)} {crew.words}{crew.size_words}"
