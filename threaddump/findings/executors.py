"""Executors whose workers wait for work that only they could do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from threaddump.findings.facts import Facts, of_crew, short
from threaddump.findings.runtime import stacks, threads_with
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
PROCESS = "multiprocessing/process.py:_bootstrap"
"""Stands below the worker of a process."""


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
            "give the inner tasks an executor of their own, or chain them instead of waiting "
            f"({'add_done_callback' if facts.dump.family == 'python' else 'thenCompose, callbacks'})",
            "bound the wait: get() or result() with a timeout turns a standstill into an error",
            "a restart helps until the executor is full again; more threads only move the limit",
        ],
        group=facts.groups[facts.group_of[team[0]]].id,
    )


@dataclass(slots=True, frozen=True)
class Elsewhere:
    """A way to let other processes do the work: what waits for its results, and what is to say about that."""

    entries: frozenset[str]
    words: str
    means: str
    advice: tuple[str, ...]
    many: int
    """Threads from which on it is more than usual, if most of those that could work are among them."""
    like_threads: str = ""
    """The loop of a worker of a pool of threads, whose callers have the same frames."""
    shown_by: str = ""
    """The entry of the thread that manages the other processes, where the frames of the callers do not tell."""


ELSEWHERE = (
    Elsewhere(
        frozenset({"py.mp.pool.get", "py.mp.pool.join"}),
        "a pool of processes",
        "The work is done in child processes, which this dump does not show: they may be slow, stuck or dead. A worker "
        "of multiprocessing.Pool that is killed takes its task along, and nobody is told.",
        ("dump the children too: py-spy dump --subprocesses --pid PID", "bound the wait: get(timeout=)"),
        10,
        like_threads="multiprocessing/pool.py:worker",
    ),
    Elsewhere(
        frozenset({"py.future.result", "py.future.wait"}),
        "a pool of processes",
        "A ProcessPoolExecutor does the work in child processes, which this dump does not show: they may be slow or "
        "stuck.",
        ("dump the children too: py-spy dump --subprocesses --pid PID", "bound the wait: result(timeout=)"),
        10,
        like_threads="concurrent/futures/thread.py:_worker",
        shown_by="py.ppe.manager",
    ),
    Elsewhere(
        frozenset({"py.celery.result"}),
        "queued tasks",
        "Workers behind a queue run them: they may be busy, stuck or gone. If these threads are such workers "
        "themselves, the tasks that they wait for may need the places that they take: then none of them ever ends.",
        (
            "what the workers do, and how long the queue is: celery -A APP inspect active",
            "in a task: a chain or a chord instead of get(); elsewhere: get(timeout=), and answer without the result",
        ),
        5,
    ),
)


def work_elsewhere(facts: Facts) -> Iterable[Finding]:
    """Threads wait for what other processes compute: what is stuck there is not in this dump.

    A pool of threads has the same frames for its callers as one of processes: where the dump has a worker of the
    first, nothing is said.
    """
    ids = [verdict.entry.id if verdict.entry is not None else "" for verdict in facts.verdicts]
    for kind in ELSEWHERE:
        waiting = [index for index, id in enumerate(ids) if id in kind.entries]
        if len(waiting) < 3 or (kind.shown_by and kind.shown_by not in ids):
            continue
        if not kind.like_threads or not _workers(facts, kind.like_threads):
            yield _elsewhere(facts, kind, waiting)


def _workers(facts: Facts, loop: str) -> list[int]:
    """Threads of this process in the loop of a pool's worker: the workers of processes have the same."""
    return threads_with(facts, lambda keys: loop in keys and PROCESS not in keys)


def _elsewhere(facts: Facts, kind: Elsewhere, waiting: Sequence[int]) -> Finding:
    callers = dict.fromkeys(short(facts.verdicts[index].caller) for index in waiting if facts.verdicts[index].caller)
    untimed = all(facts.verdicts[index].timed is False for index in waiting)
    return facts.finding(
        "work-in-other-processes",
        "medium" if len(waiting) >= kind.many and facts.takes_most(waiting) else "low",
        f"{of_crew(waiting, facts.crew(waiting))} wait for results of {kind.words}{', without a timeout' * untimed}",
        f"They wait in {', '.join(list(callers)[:3]) or 'unknown callers'}. {kind.means}",
        waiting,
        kind.advice,
        group=facts.groups[facts.group_of[waiting[0]]].id,
    )
