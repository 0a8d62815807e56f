r"""Stacks of .NET threads, innermost frame first: the text of ``dotnet-stack report``::

    Thread (0x48839B):
      [Native Frames]
      System.Private.CoreLib!System.Threading.Monitor.Wait(class System.Object,int32)
      shop!Shop.Orders+<PlaceAsync>d__5.MoveNext()

and of ``clrstack -all`` in ``dotnet-dump analyze``, WinDbg and lldb (SOS)::

    OS Thread Id: 0x1dc82 (7)
            Child SP               IP Call Site
    00007F2AE2FB47D0 00007f305abc6360 [HelperMethodFrame_1OBJ: 00007f2ae2fb47d0] System.Threading.Monitor.ReliableEnter(System.Object, Boolean ByRef)
    00007F2AE2FB4920 00007F2FE392B31F Shop.Orders.Place() [/srv/shop/Orders.cs @ 40]

Neither prints names, states or locks (``syncblk`` in ``dotnet-dump analyze`` lists owners of monitors).
"""  # noqa: E501

from __future__ import annotations

import re
from collections.abc import Iterator

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Thread
from threaddump_parsers.python_frames import DumpReader, clean, number_of, text

FORMAT = "dotnet-stack"
FAMILY = "dotnet"
TITLE = ".NET stacks (dotnet-stack, clrstack -all)"
CAPTURE = (
    ("dotnet-stack report --process-id PID", "all managed threads"),
    ("dotnet-dump collect -p PID, then dotnet-dump analyze FILE -c 'clrstack -all' -c exit", "the same, with lines"),
)
INITIALS = b"TO\x1b"
SIGNATURE = rb"Thread \(0x|OS Thread Id: 0x"
WORDS = (b"Thread (0x", b"OS Thread Id: ")

_THREAD = re.compile(rb"Thread \(0x([0-9A-Fa-f]{1,16})\):")
_SOS_THREAD = re.compile(rb"OS Thread Id: 0x([0-9a-fA-F]{1,16})(?: \(\d{1,9}\))?")
# frame     := "  " module "!" method "(" types ")" | "  [Native Frames]"
# sos frame := stack pointer " " instruction pointer " " ["[" frame type ": " address "]"]
#              [method [" [" file " @ " line "]"]]
_FRAME = re.compile(rb"\s+(?:([^!()]{1,400})!)?(\S.*)", re.DOTALL)
_SOS_FRAME = re.compile(rb"\s*[0-9a-fA-F]{8,16} [0-9a-fA-F]{8,16}(?: (\S.*))?", re.DOTALL)
_SPECIAL = re.compile(rb"\[[\w]{1,80}: [0-9a-fA-F]{8,16}\] ?")
_SOS_REMARK = (
    b"Child SP",
    b"Unable to walk the managed stack",
    b"managed thread. You can run",
    b"the process",
    b"Failed to start stack walk",
)
_NATIVE = frozenset({b"[Native Frames]", b"UNMANAGED_CODE_TIME"})
_TIME = b"CPU_TIME"


def claims(line: bytes) -> bool:
    """The header of a thread."""
    if not line.startswith((b"Thread (0x", b"OS Thread Id: 0x", b"\x1b")):
        return False
    plain = clean(line)
    return _THREAD.fullmatch(plain) is not None or _SOS_THREAD.fullmatch(plain) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read a stretch of dumps."""
    yield from _Reader().run(lines)


def _method(printed: bytes, file: bytes | None, line: int | None = None) -> Frame:
    """``Shop.Orders.Place`` of ``Shop.Orders.Place(System.String)``."""
    return Frame(text(printed.partition(b"(")[0]), None if file is None else text(file), line)


def _frame(plain: bytes) -> Frame | None:
    body = plain.strip()
    if body in _NATIVE:
        return Frame("[Native Frames]", native=True)
    found = _FRAME.fullmatch(plain)
    if found is None or not body.endswith(b")") or b"(" not in body:
        return None
    return _method(found[2], found[1])


def _sos_frame(plain: bytes) -> Frame | None:
    found = _SOS_FRAME.fullmatch(plain)
    if found is None or found[1] is None:
        return None
    method = _SPECIAL.sub(b"", found[1], count=1)
    place, _, digits = method.rpartition(b" @ ")
    called, bracket, file = place.partition(b" [")
    line = number_of(digits[:-1]) if bracket and digits.endswith(b"]") else None
    if line is not None:
        method = called
    if b"(" not in method:
        return None
    return _method(method, file if line is not None else None, line)


class _Reader(DumpReader):
    FORMAT = FORMAT
    FAMILY = FAMILY
    RUNTIME = ".NET"
    BEGINNINGS = (b"Thread (0x", b"  ", b"OS Thread Id: 0x")

    def __init__(self) -> None:
        super().__init__(self._read_frame)
        self._sos = False
        self._interned: dict[tuple[str, str | None, int | None], Frame] = {}

    def _read_frame(self, plain: bytes) -> Frame | None:
        frame = _sos_frame(plain) if self._sos else _frame(plain)
        # The same place is printed with other stack pointers for each thread.
        return None if frame is None else self._interned.setdefault((frame.function, frame.file, frame.line), frame)

    def read(self, number: int, line: bytes) -> bool:
        plain = clean(line) if len(line) < 100_000 else b""
        for header, sos in ((_THREAD, False), (_SOS_THREAD, True)):
            found = header.fullmatch(plain)
            if found is not None:
                if sos != self._sos:
                    self.finish(number)
                    self._sos = sos
                    self.table.by_line.clear()
                self.add_thread(Thread("", number, native_id=int(found[1], 16)), text(found[1]).lower())
                return True
        if self.thread is None:
            return False
        frame = self.table.frame(line)
        if frame is not None:
            self.add_frame(number, frame)
            return True
        body = plain.strip()
        if body == _TIME and not self.stack:
            self.thread.state = "RUNNABLE"  # the sample was taken on a processor
        known = body == _TIME or (self._sos and (_SOS_FRAME.fullmatch(plain) or body.startswith(_SOS_REMARK)))
        if known:
            self.grammar()
        return bool(known)
