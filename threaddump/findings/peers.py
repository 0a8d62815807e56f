"""What only the kernel knows: which peers are silent, dead or not read from. For dumps captured with its facts.

How long a thread waits is the time since anything was said on its connection, in either direction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from threaddump.findings.calls import SENDING
from threaddump.findings.facts import Facts, of_crew, short
from threaddump.report import Evidence, Finding, Group, Severity, endpoint_words, span_words

UNREAD_CONNECTIONS = 20
NOT_CLOSED = 100
_SHOWN = 3


@dataclass(slots=True)
class _Peer:
    """The calls to one address from one place, apart by their age."""

    stuck: list[int]
    young: list[int]
    longest: int = 0


def peer_silent(facts: Facts) -> Iterable[Finding]:
    """Calls that have been waiting long; an address that takes all of them while others answer hangs."""
    if facts.dump.os is None:
        return
    for group in facts.groups:
        if group.kind != "external-call" or not group.endpoints:
            continue
        peers = _peers(facts, group)
        stuck = [index for peer in peers.values() for index in peer.stuck]
        if stuck:
            yield _silent(facts, group, peers, stuck)


def _peers(facts: Facts, group: Group) -> dict[str, _Peer]:
    peers: dict[str, _Peer] = defaultdict(lambda: _Peer([], []))
    for index in facts.members[group.id]:
        call = facts.dump.threads[index].call
        if call is None or call.peer is None or call.waiting_ms is None:
            continue
        peer = peers[call.peer]
        (peer.stuck if call.waiting_ms >= facts.stuck_after_ms else peer.young).append(index)
        peer.longest = max(peer.longest, call.waiting_ms)
    return peers


def _silent(facts: Facts, group: Group, peers: dict[str, _Peer], stuck: list[int]) -> Finding:
    silent = sorted(
        (a for a, peer in peers.items() if peer.stuck and not peer.young), key=lambda a: -len(peers[a].stuck)
    )
    answering = [address for address, peer in peers.items() if not peer.stuck]
    longest = span_words(max(peer.longest for peer in peers.values()))
    limit = span_words(facts.stuck_after_ms)
    where = short(group.caller or group.blocking_frame)
    crew = facts.crew(stuck)
    if silent and (answering or len(silent) == 1):
        worst = silent[0]
        sending = group.phase in SENDING
        fault, proof = ("read", "does not take what they send") if sending else ("answer", "is silent")
        title = f"{worst} does not {fault}: {of_crew(peers[worst].stuck, crew)} wait for it, for up to {longest}"
        detail = f"All calls of {where} to {worst} are older than {limit}; it accepted them and {proof}."
        if answering:
            count = len(answering)
            detail += f" {count} other address{'es' * (count != 1)} of the same call answer{'s' * (count == 1)} sooner."
        threads = peers[worst].stuck
        advice = [
            f"look at the instance {worst} first; take it out of the load balancer or the client's list of addresses",
            f"take its dump too: threaddump capture, on the machine that listens on {worst.rpartition(':')[2]}",
        ]
    else:
        threads = stuck
        title = f"{of_crew(stuck, crew)} have been in {where} for more than {limit}, for up to {longest}"
        detail = f"They wait for {endpoint_words(group.endpoints)}."
        advice = [f"look at {', '.join(silent[:_SHOWN] or list(peers)[:_SHOWN])}"]
    return facts.finding("peer-silent", _severity(facts, threads), title, detail, threads, advice, group=group.id)


def _severity(facts: Facts, threads: Sequence[int]) -> Severity:
    share, _ = facts.share(threads)
    if len(threads) >= 10 and share >= 0.2:
        return "high"
    return "medium" if len(threads) >= 3 else "low"


def peer_unreachable(facts: Facts) -> Iterable[Finding]:
    """Connections that nobody answers: the host is down, or its packets are dropped."""
    if facts.dump.os is None:
        return
    by_peer: dict[str, list[int]] = defaultdict(list)
    for index, thread in enumerate(facts.dump.threads):
        if thread.call is not None and thread.call.state == "SYN_SENT" and thread.call.peer is not None:
            by_peer[thread.call.peer].append(index)
    for peer, threads in sorted(by_peer.items(), key=lambda item: -len(item[1])):
        one = len(threads) == 1
        yield facts.finding(
            "peer-unreachable",
            "medium" if len(threads) >= 3 else "low",
            f"{of_crew(threads, facts.crew(threads))} wait{'s' * one} for {peer} to accept a connection",
            "The connection is in SYN_SENT: the host does not answer at all. It is down, a firewall drops the packets, "
            "or the queue of its listener is full. A port that is only closed would refuse at once.",
            threads,
            [
                f"is the host up, and its service: nc -vz -w 3 {peer.rpartition(':')[0]} {peer.rpartition(':')[2]}",
                "set a connect timeout of a few seconds: the system's own is minutes",
            ],
        )


def connections_piling_up(facts: Facts) -> Iterable[Finding]:
    """Connections of the whole process that it does not read from, or does not close."""
    known = facts.dump.os
    rows = known.process.get("connections") if known is not None else None
    if known is None or not isinstance(rows, list):
        return
    unread = _sum(rows, "with_unread", "from")
    if unread >= UNREAD_CONNECTIONS:
        found = facts.finding(
            "requests-unread",
            "medium",
            f"{unread} connections of clients hold data that this process has not read",
            "Requests have arrived and nobody takes them up: the threads that would are busy or stuck. The clients see "
            "a slow answer and not a refused one.",
            (),
            ["free the threads that serve requests: the other findings say what holds them"],
        )
        yield _of_process(found, known.line)
    left = _sum([row for row in rows if isinstance(row, dict) and row.get("state") == "CLOSE_WAIT"], "count", "")
    if left >= NOT_CLOSED:
        found = facts.finding(
            "connections-not-closed",
            "medium",
            f"{left} connections are in CLOSE_WAIT: the peer has closed them, this process has not",
            "Either the threads that own them are stuck, or they leak: nothing closes them any more.",
            (),
            ["which: ss -tnp state close-wait", "close responses and connections in finally or with"],
        )
        yield _of_process(found, known.line)


def _sum(rows: Sequence[object], field: str, having: str) -> int:
    values = (row.get(field) for row in rows if isinstance(row, dict) and (not having or having in row))
    return sum(value for value in values if isinstance(value, int))


def _of_process(finding: Finding, line: int) -> Finding:
    """A finding about no thread: its evidence is the line of the facts."""
    finding.evidence.append(Evidence(None, line, "connections, as the kernel told"))
    return finding
