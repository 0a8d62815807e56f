"""Executors whose workers wait for work that only they could do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from threaddump.findings.facts import Facts, short
from threaddump.findings.runtime import stacks
from threaddump.report import Finding

WORKERS = frozenset(
    {
        "concurrent/futures/thread.py:_worker",
        "java.util.concurrent.ForkJoinPool.runWorker",
        "java.util.concurrent.ForkJoinWorkerThread.run",
        "java.util.concurrent.ThreadPoolExecutor.runWorker",
        "java.util.concurrent.ThreadPoolExecutor$Worker.run",
        "org.apache.tomcat.util.threads.ThreadPoolExecutor.runWorker",
        "org.eclipse.jetty.util.thread.QueuedThreadPool.runJob",
        "org.jboss.threads.EnhancedQueueExecutor$ThreadBody.run",
    }
)
"""Frames of a worker's loop: what stands above them is a task of the executor."""
FUTURES = frozenset(
    {
        "jvm.sync.cf",
        "jvm.sync.completion-service",
        "jvm.sync.fj.join",
        "jvm.sync.futuretask",
        "jvm.sync.guava-future",
        "py.future.result",
        "py.future.wait",
    }
)
"""Entries of a wait for a task's result. A latch is none: anything may count it down."""


def executor_starved(facts: Facts) -> Iterable[Finding]:
    """All workers of one executor wait for results of tasks: queued behind them, these tasks will never run.

    Which executor a task was given to is not in a dump, so this is inferred. Threads that serve requests are left out:
    what queues for them is requests, and the results they wait for are made by others.
    """
    workers = {index for shared in stacks(facts) if not WORKERS.isdisjoint(shared.keys) for index in shared.threads}
    waiting = {
        index
        for index, verdict in enumerate(facts.verdicts)
        if verdict.kind == "sync-wait" and verdict.entry is not None and verdict.entry.id in FUTURES
    }
    unnamed = len({thread.name for thread in facts.dump.threads}) == 1  # pystack: the process's name stands for all
    teams: dict[str, list[int]] = defaultdict(list)
    for index, thread in enumerate(facts.dump.threads):
        # Dumps without names know workers only by their loop; those of all executors are one team then.
        name = "" if unnamed else thread.name
        if name or index in workers:
            teams[facts.crew_names[index] or name].append(index)
    for name, team in teams.items():
        if len(team) >= 2 and workers.issuperset(team) and waiting.issuperset(team):
            if facts.request_threads.isdisjoint(team):
                yield _starved(facts, name, team, workers, waiting)


def _starved(facts: Facts, name: str, team: Sequence[int], workers: set[int], waiting: set[int]) -> Finding:
    outside = len(waiting.difference(team))
    others = [i for i in workers.difference(team, waiting) if facts.verdicts[i].kind not in {"idle", "runtime"}]
    whose = f"{name}* " if name else "executor "
    callers = dict.fromkeys(short(facts.verdicts[index].caller) for index in team if facts.verdicts[index].caller)
    detail = (
        "Inferred: if the tasks they wait for are queued to the same executor, nobody is left to run them, and the "
        f"wait never ends. They wait in {', '.join(list(callers)[:3]) or 'unknown callers'}; none is idle or at work."
    )
    if others:
        busy = "worker of another executor is" if len(others) == 1 else "workers of other executors are"
        detail += f" But {len(others)} {busy} at work: if the tasks run there, this is only slow."
    if outside:
        detail += f" {outside} more thread{'s wait' if outside != 1 else ' waits'} outside for results of tasks."
    return facts.finding(
        "executor-starved",
        "medium" if others else "high",
        f"all {len(team)} {whose}threads wait for results of other tasks",
        detail,
        team,
        [
            "give the inner tasks an executor of their own, or chain them instead of waiting (thenCompose, callbacks)",
            "bound the wait: get() or result() with a timeout turns a standstill into an error",
            "a restart helps until the executor is full again; more threads only move the limit",
        ],
        group=facts.groups[facts.group_of[team[0]]].id,
    )
