"""Rules: what is wrong in a dump, why we say so, and what to do.

Each rule is a small function ``rule(facts) -> Iterable[Finding]`` in the module of its family, listed in ``RULES``.
Severity grows with breadth: the share of the threads that could serve which is stuck. What is idle is never a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from threaddump.findings import (
    calls,
    completeness,
    cpu,
    crowds,
    executors,
    lifecycle,
    locks,
    loops,
    peers,
    pools,
    population,
    runtime,
    saturation,
    scopes,
    signals,
    stalls,
)
from threaddump.findings.facts import Facts
from threaddump.report import SEVERITIES, Finding, Severity

Rule = Callable[[Facts], Iterable[Finding]]

RULES: tuple[Rule, ...] = (
    locks.deadlock,
    calls.hot_external_call,
    pools.pool_wait,
    pools.rate_limited,
    locks.threads_behind_one_owner,
    locks.lock_owner_unknown,
    locks.write_lock_starved,
    saturation.request_threads_saturated,
    calls.read_without_timeout,
    peers.peer_silent,
    peers.peer_unreachable,
    peers.connections_piling_up,
    executors.executor_starved,
    executors.work_elsewhere,
    scopes.scope_tasks_stuck,
    loops.event_loop_blocked,
    loops.gil_held,
    stalls.stalled,
    runtime.process_died,
    signals.permit_wait,
    signals.result_wait,
    signals.latch_wait,
    signals.missed_notify,
    crowds.shared_bottleneck,
    crowds.hot_code,
    runtime.finalizer_stuck,
    runtime.out_of_memory,
    runtime.exceptions_thrown,
    runtime.deep_recursion,
    runtime.carriers_pinned,
    lifecycle.start_up_blocked,
    lifecycle.acceptor_missing,
    lifecycle.kept_alive,
    lifecycle.shutdown_in_progress,
    lifecycle.queue_not_drained,
    cpu.busy_thread,
    cpu.collector_busy,
    population.too_many_threads,
    population.pool_bloat,
    population.threads_per_request,
    population.thread_creation,
    population.goroutines_leaked,
    completeness.truncated_input,
    completeness.profile_input,
    completeness.c_call_kind_unknown,
)


def run(facts: Facts, severities: Mapping[str, Severity | None] | None = None) -> list[Finding]:
    """All findings of a dump, worst first; among equals the one that more threads are in or behind.

    ``severities`` are the user's own, by finding id; None leaves the finding out.
    """
    found = as_wanted([finding for rule in RULES for finding in rule(facts)], severities)
    return sorted(found, key=lambda finding: (SEVERITIES.index(finding.severity), -max(finding.reach, finding.threads)))


def as_wanted(found: Iterable[Finding], severities: Mapping[str, Severity | None] | None) -> list[Finding]:
    """The findings with the user's own severities, by id, without those that the user has switched off (None)."""
    kept = []
    for finding in found:
        severity = (severities or {}).get(finding.id, finding.severity)
        if severity is not None:
            finding.severity = severity
            kept.append(finding)
    return kept
