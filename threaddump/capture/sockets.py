"""The TCP connections of a process, with their peers and how long nothing has been said on them.

The kernel answers for all sockets of a network namespace at once over ``NETLINK_SOCK_DIAG`` (what ``ss -ti`` prints
as ``lastsnd`` and ``lastrcv``); the layout is that of ``linux/inet_diag.h`` and ``linux/tcp.h``. Where that may not be
asked, ``/proc/PID/net/tcp`` and ``tcp6`` (``net/ipv4/tcp_ipv4.c``) tell the same without the times.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

PROC = Path("/proc")
STATES = (
    "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
    "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV",
)  # fmt: skip
"""By number, ``net/tcp_states.h``."""

_CLONE_NEWNET = 0x40000000
_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48x")
_ALL_STATES = 0xFFF
_INFO = 2  # INET_DIAG_INFO
_MESSAGE = struct.Struct("=BBBB HH 16s16s I 8s IIIII")
_ATTRIBUTE = struct.Struct("=HH")
_TIMES = struct.Struct("=44x I 4x I")  # struct tcp_info: tcpi_last_data_sent, tcpi_last_data_recv
_BUFFER = 1 << 18
_SECONDS = 2.0


@dataclass(slots=True, frozen=True)
class Connection:
    """A TCP socket. Addresses are ``10.0.0.7:7001`` or ``[fe80::1]:7001``."""

    local: str
    remote: str
    state: str
    inode: int
    unread: int
    """Bytes that came and that the process has not read (``Recv-Q``); of a listener the connections not accepted."""
    unsent: int
    """Bytes that the peer has not acknowledged (``Send-Q``); of a listener the length of its queue."""
    sent_ms: int | None = None
    """Milliseconds since data was last sent; None where it cannot be told."""
    received_ms: int | None = None

    @property
    def silent_ms(self) -> int | None:
        """How long nothing has been said in either direction: so long has a reader been waiting."""
        if self.state != "ESTABLISHED" or self.sent_ms is None or self.received_ms is None:
            return None
        return min(self.sent_ms, self.received_ms)


def connections(pid: int) -> dict[int, Connection]:
    """All TCP sockets of the process's network namespace by their inode; those of others are among them."""
    try:
        return {found.inode: found for family in (socket.AF_INET, socket.AF_INET6) for found in _asked(pid, family)}
    except OSError:
        return {found.inode: found for name in ("tcp", "tcp6") for found in _listed(pid, name)}


def inodes(pid: int) -> dict[int, int]:
    """The process's descriptors that are sockets: descriptor to inode."""
    found = {}
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return {}
    for name in names:
        target = descriptor(pid, int(name))
        if target is not None and target.startswith("socket:["):
            found[int(name)] = int(target[8:-1])
    return found


def descriptor(pid: int, number: int) -> str | None:
    """What a descriptor stands for: ``socket:[4711]``, ``pipe:[4712]``, a path. None where it may not be read."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{number}")
    except OSError:
        return None


def _asked(pid: int, family: int) -> Iterator[Connection]:
    with _diagnostic_socket(pid) as stream:
        stream.settimeout(_SECONDS)
        body = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INFO - 1), _ALL_STATES)
        stream.send(_HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + body)
        while True:
            data = stream.recv(_BUFFER)
            if not data:
                return
            at = 0
            while at + _HEADER.size <= len(data):
                length, kind, _, _, _ = _HEADER.unpack_from(data, at)
                if kind == _DONE:
                    return
                if kind == _ERROR or length < _HEADER.size:
                    raise OSError("the kernel does not answer questions about sockets")
                found = _connection(data[at + _HEADER.size : at + length])
                if found is not None:
                    yield found
                at += (length + 3) & ~3


def _connection(message: bytes) -> Connection | None:
    if len(message) < _MESSAGE.size:
        return None
    family, state, _, _, sport, dport, src, dst, _, _, _, rqueue, wqueue, _, inode = _MESSAGE.unpack_from(message)
    sent = received = None
    at = _MESSAGE.size
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if length < _ATTRIBUTE.size:
            break
        if kind == _INFO and length >= _ATTRIBUTE.size + _TIMES.size and _talked(state):
            sent, received = _TIMES.unpack_from(message, at + _ATTRIBUTE.size)
        at += (length + 3) & ~3
    return Connection(
        _address(family, src, socket.ntohs(sport)),
        _address(family, dst, socket.ntohs(dport)),
        STATES[state] if state < len(STATES) else str(state),
        inode,
        rqueue,
        wqueue,
        sent,
        received,
    )


def _talked(state: int) -> bool:
    """Before a connection is made the times count from the start of the machine."""
    return state not in {2, 3, 10, 12}


def _address(family: int, raw: bytes, port: int) -> str:
    if family == socket.AF_INET:
        return f"{socket.inet_ntoa(raw[:4])}:{port}"
    address = IPv6Address(raw)
    if address.ipv4_mapped is not None:  # a socket for both: it speaks to an IPv4 address
        return f"{address.ipv4_mapped}:{port}"
    return f"[{address}]:{port}"


def _diagnostic_socket(pid: int) -> socket.socket:
    """A netlink socket in the network namespace of the process. Raises OSError where it may not be had."""
    if os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino:
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG)
    found: list[socket.socket] = []
    failed: list[OSError] = []

    def enter() -> None:
        # Only this thread changes its namespace, and it ends here; the socket stays where it was made.
        try:
            handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(handle, _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
                found.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG))
            finally:
                os.close(handle)
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=enter, name="network namespace")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def _listed(pid: int, name: str) -> Iterator[Connection]:
    """``sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ...``"""
    try:
        lines = (PROC / str(pid) / "net" / name).read_text("ascii", "replace").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) < 10:
            continue
        unsent, _, unread = words[4].partition(":")
        state = int(words[3], 16)
        yield Connection(
            _listed_address(words[1]),
            _listed_address(words[2]),
            STATES[state] if state < len(STATES) else words[3],
            int(words[9]),
            int(unread, 16),
            int(unsent, 16),
        )


def _listed_address(text: str) -> str:
    """``0100007F:1F90``: words of four bytes, each in the byte order of the machine."""
    raw, _, port = text.partition(":")
    words = [int(raw[at : at + 8], 16) for at in range(0, len(raw), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return _address(family, struct.pack(f"={len(words)}I", *words), int(port, 16))
