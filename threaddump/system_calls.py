"""What the kernel adds to a verdict, where a dump was captured with it: the call, its peer, whether it has a timeout.

A frame tells which library calls, the kernel which address is called. A thread's system call was read before and after
the dump, and stands here only if it was the same at both times.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from threaddump.classify import Classifier, Verdict
from threaddump.report import Endpoint
from threaddump_parsers.model import Dump, OsFacts, SystemCall, Thread

_READS = frozenset({"read", "pread64", "readv", "recvfrom", "recvmsg", "recvmmsg"})
_WRITES = frozenset({"write", "pwrite64", "writev", "sendto", "sendmsg", "sendfile"})
_POLLS = frozenset({"poll", "ppoll", "select", "pselect6"})
_FILES = frozenset({"fsync", "fdatasync", "flock", "fcntl", "openat", "newfstatat", "statx"})
_PLAIN = {
    **dict.fromkeys(("nanosleep", "clock_nanosleep"), ("sleep", None)),
    **dict.fromkeys(("accept", "accept4"), ("idle", "accept")),
    **dict.fromkeys(("wait4", "waitid"), ("io", "wait")),
    **dict.fromkeys(_FILES, ("io", "stat")),
}
"""Kind and phase of calls that say it all by their name."""
_OWN_SOCKETS = ("socket.py:", "ssl.py:", "http/client.py:", "asyncio/")
"""Python's own code for sockets; what another C library sets on its sockets nobody can see."""
_SOCKET_METHODS = frozenset(
    {"connect", "recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into"}
    | {"send", "sendall", "sendto", "sendmsg", "sendfile"}
)


def join(dump: Dump, facts: OsFacts) -> None:
    """Give a dump the facts that stand below it, and each of its threads its own."""
    dump.os = facts
    outside = facts.host_tids
    for thread in dump.threads:
        tid = thread.native_id
        if tid is None:
            continue
        tid = outside.get(tid, tid)
        thread.call = facts.calls.get(tid)
        if thread.cpu_ms is None and tid in facts.cpu_ms:
            thread.cpu_ms = float(facts.cpu_ms[tid])
    known = facts.process
    for field in ("host", "service", "instance", "taken_at"):
        value = known.get(field)
        if getattr(dump, field) is None and isinstance(value, str):
            setattr(dump, field, value[:200])
    # What a JVM in a container says of itself is its pid there; tools outside, and its text, know the other.
    if dump.pid in (None, known.get("namespace_pid")) and isinstance(known.get("pid"), int):
        dump.pid = known["pid"]


def with_call(verdict: Verdict, thread: Thread, classifier: Classifier) -> Verdict:
    """The verdict with what the kernel says: of an external call the timeout, of an unknown call its kind."""
    call = thread.call
    if call is None:
        return verdict
    if verdict.kind == "unknown":
        verdict = _named(verdict, call)
    if verdict.kind != "external-call" or call.peer is None:
        return verdict
    if call.name in _WRITES:
        # A library's own frame (a request, a statement) is there while it sends as well.
        verdict = replace(verdict, phase="write")
    if call.name in _POLLS:
        if call.untimed:
            return replace(verdict, timed=False, timed_reason=f"the kernel: {call.name} without a timeout")
        if call.timeout_ms is not None:
            return replace(verdict, timed=True, timed_reason=f"the kernel: {call.name} for {call.timeout_ms} ms")
    elif call.name == "connect" and verdict.timed is None and _own_socket(thread, classifier):
        return replace(
            verdict, timed=False, timed_reason="the kernel: a connect that waits itself, with no poll instead of it"
        )
    elif (call.name in _READS or call.name in _WRITES) and verdict.timed is None and _own_socket(thread, classifier):
        return replace(
            verdict, timed=False, timed_reason=f"the kernel: a {call.name} that waits, with no poll before it"
        )
    return verdict


def _named(verdict: Verdict, call: SystemCall) -> Verdict:
    """A frame alone does not tell what a call of C is; the kernel knows."""
    reason = f"the kernel: blocked in {call.name}"
    if call.peer is not None:
        phase = "connect" if call.name == "connect" or call.state == "SYN_SENT" else "read"
        return replace(
            verdict,
            kind="external-call",
            phase="write" if call.name in _WRITES else phase,
            timed_reason=f"{reason}; a timeout that a C library set on its socket cannot be seen",
        )
    plain = _PLAIN.get(call.name)
    if plain is not None:
        return replace(verdict, kind=plain[0], phase=plain[1], timed_reason=reason)
    if call.on is not None and (call.name in _READS or call.name in _WRITES):
        return replace(verdict, kind="io", phase="write" if call.name in _WRITES else "read", timed_reason=reason)
    return verdict


def is_socket_call(key: str) -> bool:
    """Whether the key of a frame is that of a method of Python's own sockets, as a source line tells it."""
    return key.startswith("call:") and key.rpartition(".")[2] in _SOCKET_METHODS


def _own_socket(thread: Thread, classifier: Classifier) -> bool:
    """Whether the call was made by the runtime's own socket code, which sets a timeout by polling first."""
    if classifier.family == "jvm":
        return True
    keys = [classifier.key(frame) for frame in thread.stack[:4]]
    return any(key.startswith(_OWN_SOCKETS) or is_socket_call(key) for key in keys)


def endpoints(waiting: Iterable[tuple[Thread, Verdict]]) -> list[Endpoint]:
    """The peers that these threads wait for, those with the most threads first."""
    by_peer: dict[str, list[tuple[SystemCall, Verdict]]] = defaultdict(list)
    for thread, verdict in waiting:
        if thread.call is not None and thread.call.peer is not None:
            by_peer[thread.call.peer].append((thread.call, verdict))
    found = [_endpoint(peer, calls) for peer, calls in by_peer.items()]
    return sorted(found, key=lambda endpoint: (-endpoint.threads, endpoint.address))


def _endpoint(peer: str, waiting: list[tuple[SystemCall, Verdict]]) -> Endpoint:
    calls = [call for call, _ in waiting]
    waits = sorted(call.waiting_ms for call in calls if call.waiting_ms is not None)
    timeouts = {call.timeout_ms for call in calls if call.timeout_ms is not None}
    return Endpoint(
        address=peer,
        threads=len(calls),
        timeout_ms=timeouts.pop() if len(timeouts) == 1 else None,
        untimed=sum(verdict.timed is False for _, verdict in waiting),
        waiting_ms=(waits[0], waits[len(waits) // 2], waits[-1]) if waits else None,
        states=dict(Counter(call.state or "UNKNOWN" for call in calls).most_common()),
        unread=sum(call.unread > 0 for call in calls),
        unsent=sum(call.unsent > 0 for call in calls),
    )
