"""What a parser hands on: dumps, threads, frames, locks and the lines it could not read.

The words are those of ``java.lang.management.ThreadInfo`` and of py-spy. Frames stand innermost first
everywhere. Hot types use slots, and frames and stacks are interned by the parsers: two threads in the same
call share one ``tuple`` of the same ``Frame`` objects, so that later work is done once per distinct stack.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Stack = tuple["Frame", ...]
"""A call stack, innermost frame first. Interned: equal stacks of one dump are the same object."""


@dataclass(slots=True, eq=False)
class Frame:
    """One line of a call stack. Frames are compared by identity: parsers intern them."""

    function: str
    """Qualified and normalised: ``com.acme.Dao.load``, ``HTTPConnectionPool._get_conn``, ``recv``."""
    file: str | None = None
    """Source file as printed (``Dao.java``, ``urllib3/connectionpool.py``, ``libc.so.6``)."""
    line: int | None = None
    native: bool = False
    """True for a JVM native method and for a C frame of ``py-spy --native``."""
    source: str | None = None
    """The source line as printed, without its indentation. None where the format prints none."""


@dataclass(slots=True, eq=False)
class Lock:
    """A monitor, an ownable synchronizer or another object that threads park on. Told apart by ``id``.

    ``id`` is what the runtime prints (an address or ``class@hash``), ``None`` where it prints none.
    """

    id: str | None
    class_name: str

    def __str__(self) -> str:
        if self.id is None or self.class_name in self.id:
            return self.id or self.class_name
        return f"{self.class_name} {self.id}"


@dataclass(slots=True, eq=False)
class Held:
    """A lock that a thread owns, and the depth of the frame that took it.

    ``depth`` is an index into the thread's stack; ``None`` for an ownable synchronizer, which the JVM lists
    apart from the frames (``Locked ownable synchronizers``).
    """

    lock: Lock
    depth: int | None


@dataclass(slots=True, frozen=True)
class SystemCall:
    """The system call that a thread was blocked in while the dump was taken, as the kernel told (Linux)."""

    name: str
    """``recvfrom``, ``poll``, ``connect``..."""
    peer: str | None = None
    """The other end of the socket: ``10.0.0.7:7001``."""
    state: str | None = None
    """Of the socket: ``ESTABLISHED``, ``SYN_SENT`` (no answer to the connect), ``CLOSE_WAIT`` (the peer has gone)."""
    on: str | None = None
    """What it is about where it is no TCP connection: ``pipe:[41827]``, a path."""
    timeout_ms: int | None = None
    untimed: bool | None = None
    """Whether the call itself has no timeout; None where it has no argument for one."""
    waiting_ms: int | None = None
    """How long nothing has been said on the connection, in either direction."""
    unread: int = 0
    """Bytes that came and have not been read: our side is slow, not theirs."""
    unsent: int = 0
    """Bytes that the peer has not taken."""


@dataclass(slots=True, eq=False)
class OsFacts:
    """What the operating system knew of a process when its dump was taken (``os_facts.py``)."""

    line: int
    process: dict[str, Any] = field(default_factory=dict)
    """As written: ``host``, ``addresses``, ``limits``, ``listening``, ``connections``..."""
    calls: dict[int, SystemCall] = field(default_factory=dict)
    """By the thread's id in its own pid namespace, which is what its runtime prints."""
    cpu_ms: dict[int, int] = field(default_factory=dict)
    host_tids: dict[int, int] = field(default_factory=dict)
    """The thread's id as seen from outside of its pid namespace to the one within, where they differ."""


@dataclass(slots=True, eq=False)
class Container:
    """Threads that Java keeps together: of an executor, of a ``StructuredTaskScope``, or all others (``<root>``)."""

    name: str
    parent: str | None = None
    owner: int | None = None
    """The ``java_id`` of the thread that opened a scope and has to close it."""
    count: int | None = None
    """How many threads the dump says it has; it may list fewer."""


@dataclass(slots=True, eq=False)
class Thread:
    """One thread entry of a dump."""

    name: str
    line: int
    """The 1-based input line where the entry starts."""
    state: str | None = None
    """Normalised: a ``java.lang.Thread.State`` name, py-spy's ``IDLE`` / ``ACTIVE``, Go's wait reason, Ruby's status.
    None: not printed."""
    printed_state: str | None = None
    """As printed: ``TIMED_WAITING (parking)``, ``waiting on condition``, ``active+gil``."""
    stack: Stack = ()
    java_id: int | None = None
    """``Thread.threadId``, the ``#N`` of the header; of a goroutine, its id."""
    native_id: int | None = None
    """The operating system's thread id (``nid=``, ``Thread N`` of py-spy on Linux)."""
    address: str | None = None
    """The VM's or the thread library's address of the thread (``tid=0x..``, ``Thread 0x..``)."""
    daemon: bool | None = None
    virtual: bool = False
    """Of the runtime or a library, not of the operating system: a virtual thread, an asyncio task, a greenlet."""
    internal: bool = False
    """A thread of the VM itself (garbage collector, compiler): it has no Java stack."""
    carrier: str | None = None
    """Of a mounted virtual thread: the carrier's name. Of a carrier: None."""
    carries: int | None = None
    """Of a carrier: the ``java_id`` of the virtual thread mounted on it."""
    container: Container | None = None
    """What Java keeps the thread in, where the dump says it (``Thread.dump_to_file -format=json``)."""
    gil: bool = False
    """Python: this thread holds the global interpreter lock."""
    blocked_on: Lock | None = None
    """The monitor or synchronizer the thread wants to own."""
    waiting_on: Lock | None = None
    """The object the thread waits to be notified by or is parked on, without wanting to own it."""
    holds: tuple[Held, ...] = ()
    """Locks really owned: what ``Object.wait`` has released and what the compiler removed is not here."""
    wait_released: tuple[Lock, ...] = ()
    """Monitors printed as locked below an ``Object.wait`` frame: released while the thread waits."""
    awaits: tuple[Thread, ...] = ()
    """asyncio: the tasks whose ends this task waits for. It goes on when all are done, or the first of them."""
    locals: dict[int, dict[str, str]] | None = None
    """Python: frame index to variable name to its printed value, where the dump has them."""
    call: SystemCall | None = None
    """What the kernel told of it, where the dump was captured with that."""
    cpu_ms: float | None = None
    elapsed_s: float | None = None
    waiting_s: float | None = None
    """For how long it has been waiting, at least. None: not printed, which does not mean that it has just begun."""
    leaked: bool = False
    """Go: the runtime has proven that nothing can wake this goroutine."""
    unit: str = "thread"
    """What the runtime calls such an entry: ``thread``, ``goroutine``."""
    truncated: bool = False
    """The dump says or shows that frames of this thread are missing."""

    @property
    def label(self) -> str:
        """The name; where the format prints none, what else tells the thread from the others."""
        if self.name or self.daemon is not None:
            return self.name  # HotSpot prints every name: an empty one is the thread's own
        if self.virtual and self.java_id is not None:
            return f"#{self.java_id}"
        identities = (self.address, self.native_id, self.java_id)
        identity = next((one for one in identities if one is not None), None)
        unit = "task" if self.virtual else self.unit
        return self.name if identity is None else f"{unit} {identity}"


@dataclass(slots=True, frozen=True)
class Problem:
    """An odd line as a value: it travels to the report, never only to a log."""

    line: int
    reason: str
    text: str = ""


@dataclass(slots=True, frozen=True)
class Event:
    """What made the runtime write the dump, as it printed it (``Dump Event "systhrow" (00040000) Detail ...``)."""

    line: int
    text: str


@dataclass(slots=True, frozen=True)
class ReportedDeadlock:
    """A deadlock as the runtime itself printed it.

    It names the thread it began with, and that thread need not be in the cycle: it may only lead to it.
    """

    line: int
    threads: tuple[str, ...]
    locks: tuple[Lock, ...]
    """What each of the threads waits for."""
    owners: tuple[str, ...]
    """The name of the thread that holds each of the locks."""


@dataclass(slots=True, eq=False)
class Dump:
    """All threads of one process at one moment; of a profile, what each thread did most of the time."""

    format: str
    """The parser's id, see the report contract."""
    line: int
    """The 1-based first line in the input."""
    family: str
    """``jvm``, ``python``, ``go``, ``dotnet`` or ``ruby``; ``other`` for a profile that does not show it."""
    runtime: str | None = None
    """Name of the runtime: ``OpenJDK 64-Bit Server VM``, ``CPython``."""
    version: str | None = None
    taken_at: str | None = None
    """ISO 8601, without a zone where the dump prints none."""
    pid: int | None = None
    command: str | None = None
    event: Event | None = None
    died: str | None = None
    """What ended the process, as printed: ``Segmentation fault``, ``SIGSEGV``. None: it lived, or nothing says so."""
    died_in: Thread | None = None
    """The thread in which it happened, where the dump says so."""
    threads: list[Thread] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
    """Java: all that the dump lists, empty ones included, in its order."""
    deadlocks: list[ReportedDeadlock] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    profile: str | None = None
    """Where the input is a profile and no dump of one moment: what it sums up (``1,234 samples``), and how its entries
    came about."""
    unread_lines: int = 0
    """Lines within the dump that no rule of the grammar reads (application output that cut in, say)."""
    truncated: list[str] = field(default_factory=list)
    """Why threads or frames are known to be missing; empty where nothing says so."""
    ownable_synchronizers: bool = False
    """JVM: the dump lists them (``jstack -l``), so an unowned one is unowned and not just unlisted."""
    end_line: int = 0
    """The 1-based last line that belongs to the dump."""
    service: str | None = None
    """What the lines around the dump name: the container, the service or the unit that wrote it,"""
    instance: str | None = None
    """the pod or the replica,"""
    host: str | None = None
    """and the machine."""
    orchestrator: str | None = None
    """What runs that container: ``kubernetes`` or ``compose``."""
    os: OsFacts | None = None
    """What the operating system knew of the process, where it was captured with the dump."""
