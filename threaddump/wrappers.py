"""Reads dumps whose lines are wrapped: peels the lines, and gives each process's stream to the parsers on its own.

Only lines outside of dumps that no parser claims are looked at. Where one is the wrapped beginning of a dump, all lines
from there on are peeled; those without the wrapper are passed on unchanged. Processes that write into one file are told
apart by what their prefixes name (pod, container, host, unit).
"""

from __future__ import annotations

import re
import sys
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from threaddump.prefixes import QUOTE, RECORD_LINES, Key, Layer, Names, Peeled, cut, find, piece, sure
from threaddump_parsers import claimant
from threaddump_parsers.lines import Lines, NumberedLine
from threaddump_parsers.model import Dump

PROBE = 256
"""Lines that are looked at ahead before a prefix is believed in."""
PROBES = 500
"""So often it is tried in vain, then only where it is sure: a log may have "Process 7: done" in every line."""
GAP = 16
"""Lines of a dump without one that cuts in: then it goes on."""
CONTEXT = 8
"""Lines before the first that is surely a dump's: its title may be among them."""
PIECES = 2000
"""Lines in which the rest of a line is looked for."""
WAYS = 32
"""Kinds of wrappers that are told apart at one place."""
STREAMS = 5000
WAITING = 64 << 20
"""Bytes that other streams may pile up while one is silent in the middle of its dump: then its dump has ended."""
PARTIAL = 1 << 24
KEPT = 10_000
"""Line numbers that are kept when a dump is complete: the next one may already have begun."""
MAIL_WIDTH = 64
"""A mail program breaks no line that is shorter with the next word."""
MAIL_LINE = 4000


class Unwrapper:
    """Looks at the lines that no parser claims."""

    def __init__(self, lines: Lines) -> None:
        self._lines, self._left = lines, PROBES

        self.looked_ahead = False
        """Whether iterators over the lines are void since the last call."""

    def at(self, numbered: NumberedLine, before: Iterable[NumberedLine]) -> Streams | None:
        """What is read from this line on, if it is the wrapped beginning of a dump."""
        self.looked_ahead = False
        if self._left <= 0 and not sure(numbered[1]):
            return None
        layers = find(numbered[1]) or self._in_pieces(numbered[1])
        if not layers:
            return None
        self._left -= 1
        self.looked_ahead = True
        near = [*before, numbered]
        probe = Streams(Lines.numbered([*near, *self._lines.peek(PROBE)]), layers)
        # The threads of a javacore may be far behind its title, which tells why the JVM wrote it.
        dumps = (dump for dump in probe.dumps(tries=len(near)) if dump.threads or dump.event is not None)
        if not any(dump.line <= numbered[0] for dump in dumps):
            return None
        self._lines.push_back(*near)
        return Streams(self._lines, layers)

    def _in_pieces(self, line: bytes) -> tuple[Layer, ...]:
        """The wrappers of a line that was too long for its log and goes on in the next ones."""
        first = piece(line)
        if first is None:
            return ()
        self._left -= 1
        self.looked_ahead = True
        layer, key, rest = first
        text = [rest.rstrip(b"\r\n")]
        for _, following in self._lines.peek(PIECES):
            peeled = layer.peel(following)
            if peeled is not None and peeled[0] == key:
                text.append(peeled[1].rstrip(b"\r\n"))
                if not peeled[2]:
                    break
        whole = b"".join(text) + b"\n"
        if _claimed(whole):
            return (layer,)
        inner = find(whole)
        return (layer, *inner) if inner else ()


class Watch:
    """Looks at the lines that cut into a plain dump, for the wrapped beginning of another one.

    It is called from the parser's loop, where nothing can be looked at ahead: lines are kept from the first that may
    be a beginning on, until there is a dump in them. Where the plain dump goes on, it was none.
    """

    def __init__(self) -> None:
        self._before: deque[NumberedLine] = deque(maxlen=CONTEXT)
        self._kept: list[NumberedLine] = []
        self._layers: tuple[Layer, ...] = ()
        self._left = PROBES

    def __call__(self, number: int, line: bytes) -> bool:
        """Whether a wrapped dump has begun."""
        kept = self._kept
        if kept and (number > kept[-1][0] + GAP or len(kept) == PROBE):
            self._before.extend(kept)
            kept.clear()
        if not kept:
            layers = find(line) if self._left > 0 else ()
            if not layers:
                self._before.append((number, line))
                return False
            self._left -= 1
            self._layers = layers
        kept.append((number, line))
        count = len(kept)
        return (count <= 16 or not count & (count - 1)) and self._begun()

    def _begun(self) -> bool:
        if _BEGINNING.search(self._kept[0][1]) is not None:
            return True
        peeled = [one for _, line in self._kept[:8] if (one := self._layers[0].peel(line)) is not None]
        if sum(len(cut(text)) for _, text, _ in peeled) < 2:
            return False  # perhaps the dump's own line, written when a logger's was not yet at its end
        return any(dump.threads for dump in Streams(Lines.numbered(self._kept), self._layers).dumps(tries=8))

    def resume(self, lines: Lines) -> None:
        """When the parser has let go: go back to where the wrapped dump may begin, with the lines of its title."""
        if self._kept:
            before = [numbered for numbered in self._before if self._layers[0].peel(numbered[1]) is not None]
            last = self._kept[-1][0]
            ahead = [numbered for numbered in lines.unread() if numbered[0] > last]
            lines.push_back(*before, *self._kept, *ahead)
            lines.last = []
        self._kept = []
        self._before.clear()


_BEGINNING = re.compile(
    rb"Full thread dump [^\n]{1,200}\(|hread 0x[0-9a-fA-F]{1,16} [^\n]{0,100}\(most recent call first"
)
"""Nothing but the beginning of a dump, or of another thread that the plain dump has not."""


class _Node:
    """The wrappers that were met below others."""

    def __init__(self) -> None:
        self.ways: list[tuple[Layer, _Node]] = []

    def peel(self, line: bytes) -> tuple[Layer, _Node, Peeled] | None:
        for layer, node in self.ways:
            peeled = layer.peel(line)
            if peeled is not None:
                return layer, node, peeled
        return None

    def add(self, layers: tuple[Layer, ...]) -> bool:
        """Whether there is a first one, and it is new here."""
        if not layers or len(self.ways) >= WAYS or any(way.pattern == layers[0].pattern for way, _ in self.ways):
            return False
        node = _Node()
        node.add(layers[1:])
        self.ways.append((layers[0], node))
        return True


class _Stream:
    """The lines of one process. Outside of a dump two are kept, in a dump all that nobody has read yet."""

    def __init__(self, names: Names) -> None:
        self.names, self.mail = names, False
        self.queue: deque[NumberedLine] = deque()
        self.before: deque[NumberedLine] = deque(maxlen=2)
        self.held: NumberedLine | None = None
        """The last line of a mail: the next one may be the rest of it."""
        self.lines: Lines | None = None
        self.dumps: Iterator[Dump] | None = None
        self.taken = 0
        self.numbers = array("Q")
        self.offset = 0

    def claimed(self) -> bool:
        """Drop what no parser claims from the queue's front; whether something is left."""
        while self.queue:
            if claimant(self.queue[0][1]) is not None:
                return True
            self.before.append(self.queue.popleft())
        return False

    def number(self, numbered: NumberedLine) -> NumberedLine:
        """Parsers get the lines of a stream with numbers that follow each other; here one more is noted."""
        self.numbers.append(numbered[0])
        return self.offset + len(self.numbers), numbered[1]

    def original(self, number: int) -> int:
        """The number in the file of a line that a parser got."""
        at = min(max(number - self.offset, 1), len(self.numbers)) - 1
        return self.numbers[at] if self.numbers else number

    def hand_on(self, dump: Dump) -> Dump:
        """The dump with the line numbers of the file, and what its lines name."""
        original = self.original
        done = dump.end_line - self.offset - KEPT
        dump.line, dump.end_line = original(dump.line), original(dump.end_line)
        for thread in dict.fromkeys(dump.threads):  # goroutines that were counted are one object
            thread.line = original(thread.line)
        if dump.event is not None:
            dump.event = replace(dump.event, line=original(dump.event.line))
        dump.problems = [replace(problem, line=original(problem.line)) for problem in dump.problems]
        dump.deadlocks = [replace(deadlock, line=original(deadlock.line)) for deadlock in dump.deadlocks]
        dump.service, dump.instance, dump.host, dump.orchestrator = self.names
        if done > KEPT:
            del self.numbers[:done]
            self.offset += done
        return dump

    def close(self) -> bool:
        """The parser has returned: go on behind what it read. Whether another dump begins in what is waiting."""
        assert self.lines is not None
        unread = [(self.original(number), line) for number, line in self.lines.unread()]
        # What was claimed at first sight may not be a dump after all: then it is not asked for again.
        refused = max(0, len(unread) - self.taken + 1)
        self.before.extend(unread[:refused])
        self.queue.extendleft(reversed(unread[refused:]))
        self.lines = self.dumps = None
        return self.claimed()


def _claimed(text: bytes) -> bool:
    return any(claimant(line) is not None for line in islice(cut(text), RECORD_LINES))


class Streams:
    """Reads wrapped lines: takes the wrappers off and gives each stream to the parsers on its own."""

    def __init__(self, lines: Lines, layers: tuple[Layer, ...]) -> None:
        self._input = iter(lines)
        self._root = _Node()
        self._root.add(layers)
        self._streams: dict[Key, _Stream] = {}
        self._last: _Stream | None = None
        self._pieces: dict[Key, tuple[int, bytearray]] = {}
        self._ready: deque[_Stream] = deque()
        self._waiting = 0

    def dumps(self, tries: int = sys.maxsize) -> Iterator[Dump]:
        """All dumps, with what their prefixes name; with ``tries`` those of the first lines that are claimed."""
        while tries and (self._ready or self._read()):
            if not self._ready:
                continue
            stream = self._ready.popleft()
            if stream.dumps is None:
                self._open(stream)
            assert stream.dumps is not None
            dump = next(stream.dumps, None)
            tries -= 1
            if dump is not None:
                yield stream.hand_on(dump)
            if dump is not None or stream.close():
                self._ready.append(stream)

    def _open(self, stream: _Stream) -> None:
        parser = claimant(stream.queue[0][1])
        assert parser is not None
        stream.lines = lines = Lines.numbered(self._pull(stream))
        stream.numbers, stream.offset, stream.taken = array("Q"), 0, 0
        lines.last = [stream.number(numbered) for numbered in stream.before]
        stream.dumps = parser.parse(lines)

    def _pull(self, stream: _Stream) -> Iterator[NumberedLine]:
        queue = stream.queue
        while True:
            while queue:
                stream.taken += 1
                yield stream.number(queue.popleft())
            self._waiting = 0
            while not queue:
                if self._waiting > WAITING or not self._read():
                    return

    def _read(self) -> bool:
        """Give one line of the input to its stream; False at the end."""
        numbered = next(self._input, None)
        if numbered is not None:
            self._route(*numbered)
            return True
        pieces, self._pieces = self._pieces, {}
        for key, (number, line) in pieces.items():
            self._add(self._streams.get(key) or self._stream([], key), number, bytes(line))
        held = [stream for stream in self._streams.values() if stream.held is not None]
        for stream in held:
            self._add(stream, 0, b"")
            stream.held = None
        return bool(pieces or held)

    def _route(self, number: int, line: bytes) -> None:
        node = self._root
        key: Key = ()
        layers: list[tuple[Layer, Key]] = []
        while True:
            way = node.peel(line)
            if way is None:
                stream = self._stream(layers, key)
                # Another wrapper, or one more around this stream's lines?
                new = () if stream.dumps is not None or stream.queue or _claimed(line) else find(line)
                if new and new[0].peel(line) is not None and node.add(new):
                    continue
                for text in cut(line):
                    self._add(stream, number, text)
                return
            layer, node, (part, line, more) = way
            layers.append((layer, part))
            if part:
                key = (*key, part)
            if more or key in self._pieces:
                number, whole = self._pieces.setdefault(key, (number, bytearray()))
                whole += line.rstrip(b"\r\n") if more else line
                if more and len(whole) < PARTIAL:
                    return
                del self._pieces[key]
                line = bytes(whole)

    def _stream(self, layers: list[tuple[Layer, Key]], key: Key) -> _Stream:
        stream = self._streams.get(key) if key or self._last is None else self._last
        if stream is None:
            if len(self._streams) >= STREAMS and self._last is not None:
                return self._last
            named = [layer.names(part) for layer, part in layers if part]
            service, instance, host, orchestrator = (
                next((names[at] for names in named if names[at]), None) for at in range(4)
            )
            stream = _Stream((service, instance, host, orchestrator))
            self._streams[key] = stream
        stream.mail = stream.mail or any(layer is QUOTE for layer, _ in layers)
        for end in range(len(key)):
            self._streams[key[:end]] = stream  # a line that lacks the inner wrappers
        self._last = stream
        return stream

    def _add(self, stream: _Stream, number: int, line: bytes) -> None:
        if not stream.mail:
            self._feed(stream, (number, line))
            return
        held, stream.held = stream.held, (number, line)
        if held is not None and _goes_on(held[1], line):
            stream.held = (held[0], held[1].rstrip() + b" " + line)
        elif held is not None:
            self._feed(stream, held)

    def _feed(self, stream: _Stream, numbered: NumberedLine) -> None:
        self._waiting += len(numbered[1])
        idle = stream.dumps is None and not stream.queue
        stream.queue.append(numbered)
        if idle and stream.claimed():
            self._ready.append(stream)


_HEADER_FIELDS = (b" #", b" prio=", b" os_prio=", b" tid=")
_FILE_FRAME = re.compile(rb"File .*, line (?:\d+|\?\?\?) in \S")


def _goes_on(line: bytes, following: bytes) -> bool:
    """Whether a mail program broke this line of a dump: it is not complete, and the next word had no room in it."""
    word = following.split(None, 1)[:1]
    if not word or following[:1] in {b" ", b"\t"} or not MAIL_WIDTH <= len(line.rstrip()) + len(word[0]) < MAIL_LINE:
        return False
    text = line.strip()
    if len(word[0]) > 4 and not word[0].strip(b"-=*~#+"):
        return False  # a rule
    if text == b"at" or text.startswith((b"at ", b"- ")):
        return not text.endswith(b")") and text != b"- None"
    if text.startswith(b'"'):
        return word[0][:1] != b'"' and (text.count(b'"') % 2 == 1 or any(field in text for field in _HEADER_FIELDS))
    if text.startswith(b"Full thread dump "):
        return not text.endswith(b":")
    if text.startswith(b"waiting "):
        return not text.endswith((b",", b")"))
    if text.endswith(b",") and b"[0x" in text:  # a space of the heap
        return word[0].startswith(b"0x")
    if text.startswith(b"File "):
        return _FILE_FRAME.match(text) is None
    if text.startswith(b"Thread "):
        return text.count(b'"') % 2 == 1
    starts = following.startswith((b"Thread ", b"[Inferior ")) or claimant(following) is not None
    return line.startswith(b"    ") and not text.endswith(b")") and not starts
