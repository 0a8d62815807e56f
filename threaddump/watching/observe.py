"""One look at a process: its dump, analysed, and since when each of its threads is busy with the same.

A thread is busy with the same while it stands in the same frames of the same caller from look to look; what the kernel
tells of the age of its call counts where it is more. Threads are told apart by their id, never by their name.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from threaddump import intake
from threaddump.analysis import facts_of, report_of
from threaddump.capture import Capture
from threaddump.classify import Classifier, Verdict
from threaddump.live import Captured
from threaddump.report import DumpReport
from threaddump.rules import Rules
from threaddump_parsers.model import Thread

MEASURES = {
    "threads": "all threads",
    "busy": "threads that have been busy with the same for longer than --stuck-after",
    "oldest": "seconds that the longest busy request thread has been busy",
    "cpu": "percent of one processor since the last look",
    "deadlocked": "threads in a deadlock",
}
"""What can be compared besides the kinds."""
_BLOCKED = frozenset({"external-call", "pool-wait", "lock-wait", "queue-put"})
_AT_REST = frozenset({"idle", "runtime", "unknown"})
"""What a request thread does when it has nothing to do. Other threads may sleep or wait for a signal all their life."""


@dataclass(slots=True, frozen=True)
class Busy:
    """A thread that has been busy with the same for long."""

    name: str
    kind: str
    caller: str | None
    blocking_frame: str | None
    peer: str | None
    seconds: float
    request: bool


@dataclass(slots=True)
class Observation:
    """What one look showed."""

    at: float
    """Seconds of the monotonic clock."""
    report: DumpReport
    busy: list[Busy]
    """Longest first."""
    able: int
    """Threads that could work."""
    took_s: float
    """How long the dump took: so long the process was held at most."""
    cpu_percent: float | None

    def measure(self, name: str) -> float:
        """A measure of ``MEASURES``, or the threads of a kind."""
        match name:
            case "threads":
                return self.report.total
            case "busy":
                return len(self.busy)
            case "oldest":
                return self.oldest_request
            case "cpu":
                return self.cpu_percent or 0.0
            case "deadlocked":
                return sum(len(deadlock.threads) for deadlock in self.report.deadlocks)
        return self.report.by_kind.get(name, 0)

    @property
    def oldest_request(self) -> float:
        """Age in seconds of the longest busy request thread, 0 where none is busy."""
        return max((busy.seconds for busy in self.busy if busy.request), default=0.0)


@dataclass(slots=True)
class Observer:
    """Looks at one process again and again, and remembers what its threads were doing."""

    stuck_after: float
    rules: Rules | None = None
    source_roots: tuple[str, ...] = ()
    _since: dict[object, tuple[object, float]] = field(default_factory=dict)
    _cpu: tuple[float, float] | None = None
    """CPU seconds of the process at the last look, and when that was."""

    def look(self, taken: Capture, cpu_s: float | None) -> Observation:
        """What a capture shows. Raises InputError where it holds no dump."""
        at = time.monotonic()
        source = Captured(taken.target.name, None, text=taken.text)
        dump = next(intake.dumps(source))
        classifier = self._classifier(dump.family)
        facts = facts_of(dump, classifier, self.stuck_after, self.source_roots)
        seen: dict[object, tuple[object, float]] = {}
        busy = []
        for index, (thread, verdict) in enumerate(zip(dump.threads, facts.verdicts, strict=True)):
            request = index in facts.request_threads
            if verdict.kind in _AT_REST or not (request or verdict.kind in _BLOCKED):
                continue
            seconds = self._busy_for(thread, verdict, seen, at)
            if seconds >= self.stuck_after:
                busy.append(_busy(thread, verdict, seconds, request))
        self._since = seen
        return Observation(
            at,
            report_of(facts, taken.target.name, self.rules),
            sorted(busy, key=lambda each: -each.seconds),
            facts.able,
            taken.taken.took_ms / 1000,
            self._cpu_percent(cpu_s, at),
        )

    def _classifier(self, family: str) -> Classifier:
        return Classifier(family) if self.rules is None else self.rules.classifier(family)

    def _busy_for(self, thread: Thread, verdict: Verdict, seen: dict[object, tuple[object, float]], at: float) -> float:
        doing = (verdict.kind, verdict.caller, verdict.blocking_frame)
        identity = thread.java_id or thread.native_id or thread.address or thread.name
        before = self._since.get(identity)
        since = before[1] if before is not None and before[0] == doing else at
        seen[identity] = (doing, since)
        waiting = thread.call.waiting_ms if thread.call is not None else None
        return max(at - since, (waiting or 0) / 1000)

    def _cpu_percent(self, cpu_s: float | None, at: float) -> float | None:
        before = self._cpu
        self._cpu = None if cpu_s is None else (cpu_s, at)
        if before is None or cpu_s is None or at <= before[1]:
            return None
        return round(100 * (cpu_s - before[0]) / (at - before[1]), 1)


def _busy(thread: Thread, verdict: Verdict, seconds: float, request: bool) -> Busy:
    peer = thread.call.peer if thread.call is not None else None
    return Busy(thread.label, verdict.kind, verdict.caller, verdict.blocking_frame, peer, round(seconds, 1), request)
