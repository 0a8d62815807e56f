"""Waits that are stuck on something other than a slow service: names, connections, files, children, full queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from threaddump.classify import Verdict
from threaddump.findings.calls import UNREACHABLE, hot_calls
from threaddump.findings.facts import KIND_WORDS, Facts, home, of_crew, short
from threaddump.report import Finding, Group, Severity


@dataclass(slots=True, frozen=True)
class Stall:
    """What groups of one kind of wait are called, and what to do; an empty condition fits all."""

    id: str
    kinds: frozenset[str]
    words: str
    means: str
    advice: tuple[str, ...]
    phases: frozenset[str] = frozenset()
    systems: frozenset[str] = frozenset()
    entries: tuple[str, ...] = ()
    share: float = 0.0
    """Of their crew, below which even many threads are usual."""
    unless_held: str = ""
    """The end of a lock's class that says that a thread is elsewhere."""
    requests_only: bool = False
    """Whether only threads that serve requests count: others are meant to wait so."""
    hot_too: bool = False
    """Whether it is said also of a hot call: the cure is not at the service that is called."""


CALL = frozenset({"external-call"})
IO = frozenset({"io"})
STALLS = (
    Stall(
        "dns-wait",
        CALL | {"lock-wait"},
        "wait for a host name to be resolved",
        "The resolver of the host or the DNS server behind it is slow or gone; the service that is called may be fine.",
        (
            "on this host: time getent hosts NAME; nameserver, timeout and attempts in /etc/resolv.conf",
            "let answers be cached (networkaddress.cache.ttl, nscd, systemd-resolved), and keep connections alive",
        ),
        phases=frozenset({"resolve"}),
        hot_too=True,
    ),
    Stall(
        "connect-wait",
        CALL,
        "wait for a connection to be made",
        UNREACHABLE,
        (
            "set a connect timeout of a few seconds: the system's own is minutes",
            "which hosts: ss -tnp state syn-sent",
        ),
        phases=frozenset({"connect"}),
    ),
    Stall(
        "write-stall",
        CALL,
        "wait until their peer reads what they send",
        "The buffers between the two are full: the peer is slow or stuck, or a client has gone without a word.",
        (
            "look at the peer: what keeps it from reading?",
            "which peers: ss -tnp, the connections with a high Send-Q; few clients bound a write with a timeout",
        ),
        phases=frozenset({"write"}),
    ),
    Stall(
        "entropy-wait",
        IO,
        "wait for random numbers",
        "A blocking source (/dev/random) has too little randomness, as happens on virtual machines after boot.",
        (
            "JVM: -Djava.security.egd=file:/dev/./urandom, or SecureRandom not from getInstanceStrong()",
            "cat /proc/sys/kernel/random/entropy_avail; install a source (virtio-rng, rngd)",
        ),
        systems=frozenset({"entropy"}),
    ),
    Stall(
        "file-stall",
        IO,
        "are in file access",
        "So many at once are seen where the disk is slow, or a network file system (NFS) does not answer. Reads of a "
        "pipe or of standard input may look the same.",
        (
            "disk or NFS: iostat -x 1, nfsiostat, dmesg; does df hang?",
            "processes in state D: ps -eo pid,stat,wchan:30,cmd | grep ' D'",
        ),
        phases=frozenset({"read", "write", "sync", "stat"}),
        systems=frozenset({"file"}),
        share=0.1,
        unless_held="PipeInputStream",
    ),
    Stall(
        "child-process-wait",
        IO,
        "wait for child processes",
        "A child is slow, or stuck itself; a child that writes more than a pipe holds hangs until its output is read.",
        (
            "what the children do: ps --ppid PID -o pid,stat,etime,wchan:30,cmd",
            "read the output of a child while it runs, and bound the wait (waitFor or communicate with a timeout)",
        ),
        systems=frozenset({"subprocess", "process"}),
    ),
    Stall(
        "queue-full",
        frozenset({"queue-put"}),
        "wait for room in a full queue",
        "What takes from the queue is too slow or stuck: it is the cause, not these threads.",
        ("look at the consumer first; a longer queue only hides it for a while",),
    ),
    Stall(
        "distributed-lock-wait",
        frozenset({"lock-wait"}),
        "wait for a lock that is kept outside of this process",
        "Its holder may be a thread of this or of any other process, and no dump names it. A holder that hangs keeps "
        "it until its lease or its session ends.",
        (
            "who holds it: the lock's entry in the store (ZooKeeper node, Redis key) names the client or the session",
            "acquire with a timeout, and keep what is done under such a lock short",
        ),
        entries=(
            "jvm.curator",
            "jvm.redis.redisson.lock",
            "jvm.hazelcast.lock",
            "jvm.infinispan.lock",
            "jvm.atg.clientlock",
        ),
    ),
    Stall(
        "class-loading-contention",
        frozenset({"lock-wait"}),
        "wait for a class loader",
        "Classes are searched for under a lock. In steady state that is rare: often a class that is missing is "
        "searched for by each request, or classes are made at run time.",
        (
            "which class: the frames below loadClass; keep what was found, also that a class is missing",
            "what is loaded: -Xlog:class+load or jcmd PID VM.classloader_stats",
        ),
        entries=("jvm.classload",),
    ),
    Stall(
        "retry-backoff",
        frozenset({"sleep"}),
        "pause before they try a failed call again",
        "The calls fail: refused, answered with an error, or limited in their rate. Retries keep the threads, and load "
        "a service that is in trouble already.",
        (
            "which error: the log, or one call by hand; the service that is called is the cause",
            "few retries, with a limit for the whole request, and a circuit breaker before the call",
        ),
        phases=frozenset({"backoff"}),
    ),
    Stall(
        "sleep-in-requests",
        frozenset({"sleep"}),
        "sleep while they serve a request",
        "They poll for something, or wait before they try again. Each of them holds its request and its thread "
        "meanwhile, and a service that is down is asked again and again.",
        (
            "wait to be told instead of polling (a future, a condition, a callback)",
            "of retries: few of them, a limit for the whole request, and a circuit breaker before the call",
        ),
        requests_only=True,
    ),
)


@dataclass(slots=True, frozen=True)
class Stalled:
    """Threads in one kind of wait, so many of them that it is told."""

    stall: Stall
    severity: Severity
    groups: tuple[Group, ...]
    threads: tuple[int, ...]


def stalled(facts: Facts) -> Iterable[Finding]:
    """Many threads are in one kind of wait with a cause of its own, told by the catalog's kind, phase and system."""
    for found in stalls(facts):
        yield _finding(facts, found)


@lru_cache(maxsize=1)
def stalls(facts: Facts) -> list[Stalled]:
    """The rows of the table that this dump shows."""
    all_found: list[Stalled] = []
    told: set[int] = set()
    hot = {group.id for call in hot_calls(facts) for group in call.groups}
    for stall in STALLS:
        groups = [g for g in facts.groups if _fits(facts, stall, g) and (stall.hot_too or g.id not in hot)]
        threads = [i for group in groups for i in facts.members[group.id] if not _elsewhere(facts, stall, i)]
        if stall.requests_only:
            threads = [index for index in threads if index in facts.request_threads]
            threads = [index for index in threads if index not in told]  # those that try again are told already
        severity = _severity(facts, stall, threads)
        if severity is not None:
            told.update(threads)
            all_found.append(Stalled(stall, severity, tuple(groups), tuple(threads)))
    return all_found


def _fits(facts: Facts, stall: Stall, group: Group) -> bool:
    entry = facts.verdicts[facts.members[group.id][0]].entry
    return (
        group.kind in stall.kinds
        and entry is not None
        and (not stall.phases or group.phase in stall.phases)
        and (not stall.systems or entry.system in stall.systems)
        and (not stall.entries or entry.id.startswith(stall.entries))
    )


def _elsewhere(facts: Facts, stall: Stall, index: int) -> bool:
    held = (held.lock.class_name for held in facts.dump.threads[index].holds)
    return bool(stall.unless_held) and any(name.endswith(stall.unless_held) for name in held)


def _severity(facts: Facts, stall: Stall, threads: Sequence[int]) -> Severity | None:
    """By count and share of the crew: a few threads are usual, wherever they wait."""
    if len(threads) < 3:
        return None
    share, crew = facts.share(threads)
    if len(threads) >= 20 and share >= 0.3:
        return "high"
    if len(threads) >= 5 and share >= stall.share:
        return "medium"
    return "medium" if crew is not None and share >= 0.25 and not stall.share else None


def _finding(facts: Facts, found: Stalled) -> Finding:
    stall, groups, threads = found.stall, found.groups, found.threads
    verdicts = [facts.verdicts[index] for index in threads]
    places = Counter(short(verdict.caller or verdict.blocking_frame) for verdict in verdicts)
    where = ", ".join(f"{place} ({count})" for place, count in places.most_common(3))
    detail = f"{stall.means} Where: {where}{', and others' if len(places) > 3 else ''}."
    if stall.id == "queue-full":
        detail += f" {_consumer(facts, groups, threads)}"
    return facts.finding(
        stall.id,
        found.severity,
        f"{of_crew(threads, facts.crew(threads))} {stall.words}",
        detail,
        threads,
        stall.advice,
        group=max(groups, key=lambda group: group.count).id,
    )


def _consumer(facts: Facts, groups: Sequence[Group], producers: Sequence[int]) -> str:
    """Who takes from the queue: threads at work whose outermost code is of the class that puts into it."""
    classes = {home(name) for group in groups for name in (group.blocking_frame, group.caller) if name}
    roots = {_root(facts, index) for index in producers}
    crews = {facts.crew_names[index] for index in producers} - {""}
    found = []
    for index, verdict in enumerate(facts.verdicts):
        root = _root(facts, index)
        if (
            verdict.kind in {"idle", "runtime", "queue-put"}
            or _joins(verdict)
            or root in roots
            or facts.crew_names[index] in crews
        ):
            continue
        if root and home(root) in classes:
            doing = f"{KIND_WORDS.get(verdict.kind, verdict.kind)} in {short(verdict.blocking_frame)}"
            found.append(f'"{facts.dump.threads[index].label}" ({doing})')
    if not found:
        return "Who takes from it is not to be told from this dump."
    return f"Taken from by {', '.join(found[:3])}, probably (inferred: its code is where the queue is filled)."


def _joins(verdict: Verdict) -> bool:
    """Whether the thread waits until a queue has been worked off."""
    return verdict.entry is not None and verdict.entry.id.endswith(".queue.join")


def _root(facts: Facts, index: int) -> str:
    """The outermost frame that is not the platform's: what the thread was started for."""
    classifier = facts.classifier
    for frame in reversed(facts.dump.threads[index].stack):
        if not classifier.is_platform(classifier.key(frame)):
            return classifier.shown(frame)
    return ""
