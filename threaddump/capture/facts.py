"""What the operating system knows of a process, as lines that can follow a dump of it.

Each line begins with ``# threaddump-os: `` and holds one JSON object, so other tools that read the dump pass them by
(``parsers/threaddump_parsers/os_facts.py`` reads them again). The first tells of the process, the others of threads.
Nothing is looked up in the network: names are those that files of this machine hold.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from threaddump.capture import calls, sockets
from threaddump.capture.calls import Call
from threaddump.capture.sockets import Connection

PROC = Path("/proc")
PREFIX = b"# threaddump-os: "
SCHEMA = 1
_THREADS_A_LINE = 50
_MOST_PEERS = 50
_LOOK_AGAIN_S = (0.005, 0.01, 0.02, 0.04, 0.08)
"""Pauses between looks at threads that run after a dump: on a loaded machine hundreds of them wait for a processor."""
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_CONTAINER = re.compile(r"(?:docker|libpod|cri-containerd|crio)?[-/]?([0-9a-f]{64})")
_UNIT = re.compile(r"/([^/]+)\.service")
_SERVICE_VARIABLES = ("OTEL_SERVICE_NAME", "DD_SERVICE", "SERVICE_NAME", "SPRING_APPLICATION_NAME", "APP_NAME")
_SERVICE_OPTION = re.compile(r"-D(?:otel\.service\.name|spring\.application\.name|dd\.service)=(.+)")
_UNLIMITED = "max"


@dataclass(slots=True)
class Moment:
    """The calls that threads were blocked in at one moment, and the sockets of then."""

    calls: dict[int, Call]
    sockets: dict[int, int]
    """Descriptor to inode."""
    connections: dict[int, Connection]
    """By inode."""


@dataclass(slots=True)
class Watch:
    """Looks at a process before and after its dump is taken: what is the same at both times belongs to the dump."""

    pid: int
    before: Moment = field(init=False)

    def __post_init__(self) -> None:
        self.before = _moment(self.pid)

    def peers(self) -> set[str]:
        """The addresses that the process is connected to."""
        own = set(self.before.sockets.values())
        found = self.before.connections.items()
        return {connection.remote for inode, connection in found if inode in own and connection.state != "LISTEN"}

    def lines(self, facts: dict[str, Any] | None = None) -> Iterator[bytes]:
        """The facts as lines; ``facts`` are more of the process, which the capturer knows."""
        after = _moment(self.pid)
        self._wait_for_the_late(after)
        yield _line({"schema": SCHEMA, **process(self.pid, after), **(facts or {})})
        threads = list(_threads(self.pid, self.before, after))
        for at in range(0, len(threads), _THREADS_A_LINE):
            yield _line({"threads": threads[at : at + _THREADS_A_LINE]})

    def _wait_for_the_late(self, after: Moment) -> None:
        """Look again for threads that the dump stopped, and that no processor has brought back to their calls yet."""
        for pause in _LOOK_AGAIN_S:
            there = set(tids(self.pid))
            late = [tid for tid in self.before.calls if tid not in after.calls and tid in there]
            if not late:
                return
            time.sleep(pause)
            after.calls |= calls.blocked(self.pid, late)


def _line(value: dict[str, Any]) -> bytes:
    return PREFIX + json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _moment(pid: int) -> Moment:
    return Moment(calls.blocked(pid, tids(pid)), sockets.inodes(pid), sockets.connections(pid))


def tids(pid: int) -> list[int]:
    """The ids of a process's threads; none where it has ended."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def _threads(pid: int, before: Moment, after: Moment) -> Iterator[dict[str, Any]]:
    inside = _namespaced(pid)
    for tid in tids(pid):
        row: dict[str, Any] = {"tid": inside(tid)}
        if row["tid"] != tid:
            row["host_tid"] = tid
        cpu = cpu_ms(f"/proc/{pid}/task/{tid}/stat")
        if cpu is not None:
            row["cpu_ms"] = cpu
        call = after.calls.get(tid)
        if call is not None and _same(before, after, tid):
            row |= _described(pid, call, after)
        yield row


def _same(before: Moment, after: Moment, tid: int) -> bool:
    """Whether a thread was in the same call on the same socket at both times. A timeout may count down."""
    was, now = before.calls.get(tid), after.calls[tid]
    if was is None or (was.name, was.descriptors) != (now.name, now.descriptors):
        return False
    return all(before.sockets.get(fd) == after.sockets.get(fd) for fd in now.descriptors)


def _described(pid: int, call: Call, moment: Moment) -> dict[str, Any]:
    row: dict[str, Any] = {"call": call.name}
    if call.timeout_ms is not None:
        row["timeout_ms"] = call.timeout_ms
    if call.untimed is not None:
        row["untimed"] = call.untimed
    found = [moment.connections.get(moment.sockets.get(fd, -1)) for fd in call.descriptors]
    peers = [connection for connection in found if connection is not None]
    if len(peers) == 1 and len(call.descriptors) <= 2:  # a second one is a pipe that wakes the thread up
        row |= _peer(peers[0])
    elif not peers and len(call.descriptors) == 1:
        on = sockets.descriptor(pid, call.descriptors[0])
        if on is not None and not on.startswith("anon_inode:"):
            row["on"] = on
    return row


def _peer(connection: Connection) -> dict[str, Any]:
    if connection.state == "LISTEN":
        return {"local": connection.local, "state": connection.state}
    row: dict[str, Any] = {"local": connection.local, "peer": connection.remote, "state": connection.state}
    if connection.silent_ms is not None:
        row["silent_ms"] = connection.silent_ms
    if connection.unread:
        row["unread"] = connection.unread
    if connection.unsent:
        row["unsent"] = connection.unsent
    return row


def _namespaced(pid: int) -> Any:
    """From a thread's id here to its id in its own pid namespace, which is what its runtime prints."""
    if _status(f"/proc/{pid}/status").get("NSpid", "").count("\t") == 0:
        return int

    def inside(tid: int) -> int:
        words = _status(f"/proc/{pid}/task/{tid}/status").get("NSpid", "").split()
        return int(words[-1]) if words else tid

    return inside


def _status(path: str) -> dict[str, str]:
    text = _text(path)
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""


def cpu_ms(stat: str) -> int | None:
    """CPU time of a process or thread, from its ``stat`` file."""
    fields = _text(stat).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 // _TICKS if len(fields) > 12 else None


# --- the process


def process(pid: int, moment: Moment) -> dict[str, Any]:
    """Facts of a process; what cannot be read is left out."""
    own = set(moment.sockets.values())
    used = [connection for inode, connection in moment.connections.items() if inode in own]
    names = environment(pid, ("HOSTNAME", *_SERVICE_VARIABLES))
    control_group = _text(f"/proc/{pid}/cgroup")
    host = _text(f"/proc/{pid}/root/etc/hostname").strip() or socket.gethostname()
    facts = {
        "taken_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "pid": pid,
        "namespace_pid": _inner_pid(pid),
        "host": host,
        "fqdn": _full_name(host, _text(f"/proc/{pid}/root/etc/hosts")),
        "machine": socket.gethostname() if host != socket.gethostname() else None,
        "addresses": _addresses(pid),
        "container": _container(control_group),
        "service": _service(pid, names, control_group),
        "instance": names.get("HOSTNAME"),
        "limits": _limits(control_group),
        "cpu_ms": cpu_ms(f"/proc/{pid}/stat"),
        "uptime_s": _uptime(pid),
        "thread_count": len(tids(pid)),
        "processors": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "listening": sorted({connection.local for connection in used if connection.state == "LISTEN"}),
        "connections": _connections(used),
        "calls_readable": calls.may_look(pid),
    }
    return {key: value for key, value in facts.items() if value not in (None, [], {})}


def listening(pid: int) -> list[str]:
    """The addresses that the process accepts connections on."""
    own = set(sockets.inodes(pid).values())
    if not own:
        return []
    found = sockets.connections(pid).items()
    return sorted({connection.local for inode, connection in found if inode in own and connection.state == "LISTEN"})


def service_and_container(pid: int) -> tuple[str | None, str | None]:
    """What the process is called by whoever started it, and the container it runs in."""
    control_group = _text(f"/proc/{pid}/cgroup")
    return _service(pid, environment(pid, _SERVICE_VARIABLES), control_group), _container(control_group)


def environment(pid: int, wanted: Iterable[str]) -> dict[str, str]:
    """These variables of the process's environment, and no other: it holds secrets."""
    pairs = (pair.partition("=") for pair in _text(f"/proc/{pid}/environ").split("\0"))
    keep = set(wanted)
    return {name: value for name, _, value in pairs if name in keep and value}


def _inner_pid(pid: int) -> int | None:
    words = _status(f"/proc/{pid}/status").get("NSpid", "").split()
    return int(words[-1]) if words and int(words[-1]) != pid else None


def _full_name(host: str, hosts: str) -> str | None:
    """The name with its domain, where the hosts file has it."""
    if "." in host:
        return host
    for line in hosts.splitlines():
        names = line.partition("#")[0].split()[1:]
        if host in names:
            full = [name for name in names if name.startswith(f"{host}.")]
            if full:
                return full[0]
    return None


def _addresses(pid: int) -> list[str]:
    """The addresses of the process's network namespace, without loopback's."""
    found = set()
    address = None
    for line in _text(f"/proc/{pid}/net/fib_trie").splitlines():
        if "|--" in line:
            address = line.split()[-1]
        elif "/32 host LOCAL" in line and address is not None and not address.startswith("127."):
            found.add(address)
    for line in _text(f"/proc/{pid}/net/if_inet6").splitlines():
        words = line.split()
        if len(words) == 6 and words[5] != "lo":
            found.add(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[0])))
    return sorted(found)


def _container(control_group: str) -> str | None:
    match = _CONTAINER.search(control_group)
    return match[1][:12] if match else None


def _service(pid: int, names: dict[str, str], control_group: str) -> str | None:
    """A name that the process was given: a variable, an option, or the unit that it was started by."""
    for name in _SERVICE_VARIABLES:
        if name in names:
            return names[name]
    for word in _text(f"/proc/{pid}/cmdline").split("\0"):
        match = _SERVICE_OPTION.fullmatch(word)
        if match:
            return match[1]
    match = _UNIT.search(control_group)
    return match[1] if match else None


def _limits(control_group: str) -> dict[str, Any]:
    """Limits and pressure of a version 2 control group, seen from outside or from within its container."""
    path = next((line[3:] for line in control_group.splitlines() if line.startswith("0::")), None)
    if path is None:
        return {}
    folder = Path("/sys/fs/cgroup") / path.lstrip("/")
    if not (folder / "cgroup.procs").exists():
        folder = Path("/sys/fs/cgroup")
    found: dict[str, Any] = {}
    quota = _text(folder / "cpu.max").split()
    if len(quota) == 2 and quota[0] != _UNLIMITED:
        found["cpus"] = round(int(quota[0]) / int(quota[1]), 2)
    for name, file in (("memory_bytes", "memory.max"), ("pids", "pids.max")):
        limit = _text(folder / file).strip()
        if limit and limit != _UNLIMITED:
            found[name] = int(limit)
            current = _text(folder / file.replace("max", "current")).strip()
            if current:
                found[f"{name}_used"] = int(current)
    for line in _text(folder / "cpu.stat").splitlines():
        if line.startswith(("nr_throttled ", "throttled_usec ")) and not line.endswith(" 0"):
            name, _, value = line.partition(" ")
            found[name] = int(value)
    return found


def _uptime(pid: int) -> float | None:
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 20:
        return None
    return round(time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / _TICKS, 1)


def _connections(used: list[Connection]) -> list[dict[str, Any]]:
    """Connections by peer and state; of those that clients opened only the port they came to is told."""
    listening = {connection.local.rpartition(":")[2] for connection in used if connection.state == "LISTEN"}
    counts: Counter[tuple[str, str, str]] = Counter()
    unread: Counter[tuple[str, str, str]] = Counter()
    unsent: Counter[tuple[str, str, str]] = Counter()
    for connection in used:
        if connection.state == "LISTEN":
            continue
        accepted = connection.local.rpartition(":")[2] in listening
        key = ("from", connection.local, connection.state) if accepted else ("to", connection.remote, connection.state)
        counts[key] += 1
        unread[key] += bool(connection.unread)
        unsent[key] += bool(connection.unsent)
    rows = []
    for key, count in counts.most_common(_MOST_PEERS):
        way, address, state = key
        row: dict[str, Any] = {way: address, "state": state, "count": count}
        if unread[key]:
            row["with_unread"] = unread[key]
        if unsent[key]:
            row["with_unsent"] = unsent[key]
        rows.append(row)
    return rows
