"""What transports do to the lines of a dump, kind by kind: prefixes of log collectors, JSON records, quoting, HTML.

A line is *peeled*: wrappers are taken off one by one until a parser claims the rest. Known ones are in ``LAYERS``. An
unknown prefix is found by the words of a dump behind it: in the lines that follow, its numbers and times vary while the
rest is the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

from threaddump_parsers import claimant, parsers

DEPTH = 4
DOCKER_PIECE = 16_000
"""Docker and Kubernetes cut lines into pieces of 16 KB."""
RECORD_LINES = 10_000
"""In so many lines of a record the beginning of a dump is looked for."""

Key = tuple[Any, ...]
Names = tuple[str | None, str | None, str | None, str | None]
"""Service, instance, host, and what runs the container."""
Peeled = tuple[Key, bytes, bool]
"""What tells streams apart, the line without the wrapper, and whether the line goes on in the next record."""


class Layer(Protocol):
    """One kind of wrapper."""

    kind: str
    pattern: bytes

    def peel(self, line: bytes) -> Peeled | None: ...

    def names(self, key: Key) -> Names: ...


class Prefix:
    """A prefix that a pattern describes. Its groups name the stream; ``more`` marks a piece of a longer line."""

    def __init__(
        self, kind: str, pattern: bytes, end: bytes = rb"(?: |(?=[\r\n]|\Z))", orchestrator: str | None = None
    ) -> None:
        # The blank at its end may have been trimmed where nothing follows.
        self.kind, self.pattern, self._orchestrator = kind, pattern + end, orchestrator
        compiled = re.compile(self.pattern)
        self._match, self._groups = compiled.match, compiled.groupindex
        self._more = self._groups.get("more")

    def peel(self, line: bytes) -> Peeled | None:
        match = self._match(line)
        if match is None:
            return None
        if self._more is None:
            return match.groups(), line[match.end() :], False
        return match.groups()[: self._more - 1], line[match.end() :], match[self._more] is not None

    def names(self, key: Key) -> Names:
        named = {name: _text(key[at - 1]) for name, at in self._groups.items() if at != self._more}
        instance = named.get("instance")
        service = named.get("service") or (re.split(r"[-_.]\d+", instance)[0] if instance else None)
        return service, instance, named.get("host"), self._orchestrator


class Breaks:
    """Lines of a dump within one line of HTML."""

    kind = "HTML"
    pattern = b"<br>"
    _TAGS = re.compile(rb"(?:\s*</?\w{1,20}\b[^<>\n]{0,200}>)+")
    _BREAK = re.compile(rb"<br ?/?>(?:</?(?:p|div|span)>)*", re.IGNORECASE)

    def peel(self, line: bytes) -> Peeled | None:
        if b"<br" not in line and b"<BR" not in line:
            return None
        tags = self._TAGS.match(line)
        text = self._BREAK.sub(b"\n", line[tags.end() :] if tags is not None else line)
        return (), text if text.endswith(b"\n") else text + b"\n", False

    def names(self, _key: Key) -> Names:
        return None, None, None, None


class Record:
    """A log record, one JSON object in a line: docker's json-file, ECS, ``journalctl -o json`` and others."""

    kind = "JSON log"
    pattern = b"{"
    TEXTS = ("log", "message", "MESSAGE", "msg", "textPayload")
    NAMES = (
        ("service.name", "kubernetes.container.name", "kubernetes.container_name", "container.name", "_SYSTEMD_UNIT"),
        ("kubernetes.pod.name", "kubernetes.pod_name", "service.node.name", "container.id"),
        ("host.name", "host.hostname", "kubernetes.host", "_HOSTNAME", "host", "hostname"),
    )

    def peel(self, line: bytes) -> Peeled | None:
        if not line.startswith(b"{") or not line.rstrip().endswith(b"}"):
            return None
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return None
        text = next((record[name] for name in self.TEXTS if isinstance(record.get(name), str)), None)
        if text is None:
            return None
        stream = record.get("stream")
        orchestrator = "kubernetes" if "kubernetes" in record else None
        names = (_first(record, names) for names in self.NAMES)
        key = (*names, orchestrator, stream if isinstance(stream, str) else None)
        raw = text.encode("utf-8", "surrogatepass")
        more = "log" in record and len(raw) >= DOCKER_PIECE and not raw.endswith(b"\n")
        return key, raw if more or raw.endswith(b"\n") else raw + b"\n", more

    def names(self, key: Key) -> Names:
        return key[0], key[1], key[2], key[3]


def _first(record: dict[str, Any], names: Iterable[str]) -> str | None:
    """The first of these fields that has a text; their dots may be dots or levels of the record."""
    for name in names:
        value: Any = record.get(name)
        if value is None and "." in name:
            value = record
            for part in name.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            return value
    return None


def _text(raw: bytes | None) -> str | None:
    return raw.decode("utf-8", "replace") if raw else None


_TIME = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)"
_DATE = rb"[A-Z][a-z]{2} (?:[ \d]\d|\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d(?:\.\d{1,9})?(?: UTC)?"
_UNIT = rb" (?P<host>[\w.:-]{1,255}) (?P<service>[^\s\[\]:]{1,128})"
_COMPOSE_NAME = rb"(?P<instance>[A-Za-z0-9][\w.-]{0,127})(?:@(?P<host>[\w.-]{1,255}))? *\|"
_POD = rb"\[pod/(?P<instance>[^/\]\s]{1,253})/(?P<service>[^/\]\s]{1,253})\]"
_KUBECTL = Prefix("kubectl logs --prefix", _POD, orchestrator="kubernetes")
_CRI = Prefix("container runtime log (CRI)", _TIME + rb" (stdout|stderr) (?:F|(?P<more>P))(?::\S{0,40})?")
_STAMP = Prefix("kubectl logs --timestamps", _TIME)
_COMPOSE = Prefix("docker compose logs", _COMPOSE_NAME, orchestrator="compose")
_JOURNAL = Prefix("journald or syslog", rb"(?:<\d{1,3}>)?" + _DATE + _UNIT + rb"(?:\[(\d{1,10})\])?:")
_JOURNAL_ISO = Prefix("journald or syslog", rb"(?:<\d{1,3}>)?" + _TIME + _UNIT + rb"\[(\d{1,10})\]:")
_SYSLOG = Prefix(
    "syslog (RFC 5424)",
    rb"(?:<\d{1,3}>)?1 (?:-|" + _TIME + rb") (?P<host>\S{1,255}) (?P<service>\S{1,48}) (\S{1,128}) \S{1,32} "
    rb"(?:-|(?:\[[^\]\n]{1,2000}\])++)",
    rb"(?: (?:\xef\xbb\xbf)?|(?=[\r\n]|\Z))",
)
QUOTE = Prefix("quoted text", rb">(?: ?>){0,20}")
_TAGS = Prefix("HTML", rb"[^\n]{0,500}<(?:pre|textarea|code)\b[^<>\n]{0,200}>", b"")
_STAMPED: tuple[Layer, ...] = (_CRI, _JOURNAL_ISO, _STAMP, _SYSLOG, _COMPOSE)

LAYERS: dict[int, tuple[Layer, ...]] = {
    **dict.fromkeys(b"abcdefghijklmnopqrstuvwxyz", (_COMPOSE,)),
    **dict.fromkeys(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", (_JOURNAL, _COMPOSE)),
    **dict.fromkeys(b"0123456789", _STAMPED),
    ord("["): (_KUBECTL,),
    ord("{"): (Record(),),
    ord("<"): (_JOURNAL, _JOURNAL_ISO, _SYSLOG, _TAGS, Breaks()),
    ord(">"): (QUOTE,),
}
"""Known wrappers by the first byte of the line."""
_GATE = re.compile(
    rb"[{><]|\[pod/|1 |\d{4}-\d\d-\d\dT|" + _DATE + rb"|[A-Za-z0-9][\w.-]{0,127}(?:@[\w.-]{1,255})? *\|"
).match
"""The cheap test: every line of a log passes here."""

_SIGNATURE = re.compile(
    b"|".join(signature for parser in parsers() if (signature := getattr(parser, "SIGNATURE", b"")))
)
"""How dumps begin, where a prefix of no known kind stands before it."""
_ALL_WORDS = dict.fromkeys(word for parser in parsers() for word in getattr(parser, "WORDS", ()))
_WORDS = tuple(word for word in _ALL_WORDS if not any(other in word for other in _ALL_WORDS if other != word))
"""Without those in which another one stands."""
_LEVEL = rb"(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|SEVERE|CRITICAL|FATAL)"
_VARYING = re.compile(
    rb"(?P<level>\b" + _LEVEL + rb"\b)|(?P<time>" + _TIME + rb")|(?P<number>(?<![A-Za-z0-9_])\d+(?![A-Za-z0-9_]))|"
    rb"(?P<blank>[ \t]+)|(?P<rest>.)",
    re.DOTALL,
)
_STANDS_FOR = {"level": _LEVEL, "time": _TIME, "number": rb"\d+", "blank": rb"[ \t]+", "rest": b""}
_LONGEST = 300
UNKNOWN = "log lines with a prefix"


def _shape(prefix: bytes) -> Prefix:
    """The shape of a prefix that is none of the known."""
    body = prefix.rstrip(b" \t")
    blanks = re.escape(prefix[len(body) :])  # exactly these: what follows may be indented itself
    if not body:
        return Prefix("indented text", blanks, b"")
    parts = [_STANDS_FOR[match.lastgroup or "rest"] or re.escape(match[0]) for match in _VARYING.finditer(body)]
    if body[:1] in {b" ", b"\t"}:
        parts[0] = rb"[ \t]*"  # numbers aligned to the right
    end = rb"(?:" + blanks + rb"|(?=[\r\n]|\Z))" if blanks else b""
    return Prefix(UNKNOWN, b"".join(parts), end)


def has_words(line: bytes) -> bool:
    """Whether the words of a dump may stand in this line: a cheap test."""
    for word in _WORDS:  # noqa: SIM110  (no generator: every line of a log passes here)
        if word in line:
            return True
    return False


def _unknown_prefix(line: bytes) -> Prefix | None:
    if line[:1] in {b"{", b'"', b"\n"} or not has_words(line):
        return None
    end = line.find(b"\n") + 1 or len(line)
    for match in islice(_SIGNATURE.finditer(line, 1, min(end, _LONGEST + 20)), 8):
        if claimant(line[match.start() :]) is not None and b'{"' not in line[: match.start()]:
            return _shape(line[: match.start()])
    return None


def find(line: bytes, depth: int = DEPTH) -> tuple[Layer, ...]:
    """The wrappers around this line behind which a parser claims it; nothing where there are none."""
    indent = len(line) - len(line.lstrip(b" \t"))
    if 0 < indent < _LONGEST:
        if claimant(line[indent:]) is not None:
            return (_shape(line[:indent]),)
        inner = find(line[indent:], depth - 1) if depth > 1 else ()
        if inner and inner[0].kind != UNKNOWN:
            return (_shape(line[:indent]), *inner)
    elif _GATE(line) is not None:
        for layer in LAYERS.get(line[0], ()):
            peeled = layer.peel(line)
            if peeled is None:
                continue
            if any(claimant(part) is not None for part in islice(cut(peeled[1]), RECORD_LINES)):
                return (layer,)
            inner = find(peeled[1], depth - 1) if depth > 1 else ()
            if inner:
                return (layer, *inner)
    unknown = _unknown_prefix(line)
    return (unknown,) if unknown is not None else ()


def piece(line: bytes) -> tuple[Layer, Key, bytes] | None:
    """Its wrapper, if the line is a piece of a longer one."""
    if _GATE(line) is not None:
        for layer in LAYERS.get(line[0], ()):
            peeled = layer.peel(line)
            if peeled is not None:
                return (layer, peeled[0], peeled[1]) if peeled[2] else None
    return None


def cut(text: bytes) -> list[bytes]:
    """The lines of a record with their ends."""
    if text.find(b"\n", 0, -1) < 0:
        return [text]
    *whole, rest = text.split(b"\n")
    return [line + b"\n" for line in whole] + [rest] * bool(rest)


# HTML: in the whole file, for a title line has nothing that would be escaped.

_ESCAPED = re.compile(
    rb"&(?:quot|#34|#x22); (?:#\d|\[\d|daemon |prio=|os_prio=|tid=|[Ii]d=)|File &quot;|\): &quot;|"
    rb"3XMTHREADINFO(?: |&nbsp;){1,12}&quot;|"
    rb"- (?:locked|waiting [a-z ]{0,30}|parking to wait for) {1,2}&lt;|&lt;(?:module|lambda|listcomp|genexpr)&gt; \("
)
_OPENING = re.compile(rb"<(?:pre|textarea)\b[^<>]*>", re.IGNORECASE)
_LEADING = re.compile(rb"(?:\s*</?(?:html|body|div|p|span|td|tr|table)\b[^<>\n]{0,200}>)+", re.IGNORECASE)
_CLOSING = re.compile(rb"</(?:pre|textarea)>", re.IGNORECASE)
_LAST = re.compile(rb"<br ?/?>|</(?:html|body|div|p|span|td|tr|table)>", re.IGNORECASE)


def is_html(sample: bytes) -> bool:
    """Whether dumps in this file are escaped for HTML, or the file is a page."""
    if b"&quot;" in sample or b"&lt;" in sample or b"&#" in sample:
        if _ESCAPED.search(sample) is not None:
            return True
    return _is_page(sample)


def _is_page(sample: bytes) -> bool:
    return sample.lstrip()[:1] == b"<" and _OPENING.search(sample) is not None


def from_html(lines: Iterable[bytes], sample: bytes) -> Iterator[bytes]:
    """The lines without the page around them, and unescaped where the dump is."""
    import html  # its table of entities takes longer to load than a small dump takes to read

    escaped = _ESCAPED.search(sample) is not None or _is_page(sample)
    for line in lines:
        if b"<" in line:
            line = _without_last_tags(_CLOSING.sub(b"", _OPENING.split(line)[-1]))
            if line.count(b"<br") + line.count(b"<BR") == 0:  # else it is a record of several lines
                line = _LEADING.sub(b"", line, count=1) if _LEADING.match(line) else line
        if escaped and b"&" in line:
            text = html.unescape(line.decode("utf-8", "surrogateescape")).replace("\xa0", " ")
            line = text.encode("utf-8", "surrogateescape")
        yield line


def _without_last_tags(line: bytes) -> bytes:
    end = kept = len(line.rstrip())
    while line[kept - 1 : kept] == b">":
        start = line.rfind(b"<", 0, kept)
        if start < 0 or _LAST.fullmatch(line, start, kept) is None:
            break
        kept = start
    return line[:kept] + line[end:] if kept < end else line


# Word processors, wikis and chats make quotation marks curly: in the whole file, like HTML. The last two are Windows'.

_CURLY = re.compile(rb"\xe2\x80[\x9c-\x9f]|(?<![\x80-\xbf\xc2-\xf4])[\x93\x94]")
_CURLY_DUMP = re.compile(
    rb"(?:^|\n)[ \t>]*(?:\xe2\x80[\x9c-\x9f]|[\x93\x94])[^\n]{1,300}(?:\xe2\x80[\x9c-\x9f]|[\x93\x94]) "
    rb"(?:#\d|\[\d|daemon |prio=|os_prio=|tid=|[Ii]d=|- Thread t@)|File (?:\xe2\x80[\x9c-\x9f]|[\x93\x94])|"
    rb"(?:hread [^\n]{1,60}\): |3XMTHREADINFO +)(?:\xe2\x80[\x9c-\x9f]|[\x93\x94])"
)


def has_curly_quotes(sample: bytes) -> bool:
    """Whether the quotation marks of dumps in this file are no longer those that were printed."""
    curly = b"\xe2\x80\x9c" in sample or b"\xe2\x80\x9d" in sample or b"\x93" in sample or b"\x94" in sample
    return curly and _CURLY_DUMP.search(sample) is not None


def straight(line: bytes) -> bytes:
    """The line with the quotation marks that a runtime prints."""
    return line if line.isascii() else _CURLY.sub(b'"', line)


_SURE = re.compile(
    rb"Full thread dump [^\n]{1,200}\(|hread 0x[0-9a-fA-F]{1,16} [^\n]{0,100}\(most recent call first|"
    rb'" #\d[^\n]{1,200} tid='
)


def sure(line: bytes) -> bool:
    """Whether words stand in the line that are nowhere but in dumps."""
    return has_words(line) and _SURE.search(line, 1, 10 * _LONGEST) is not None


def wrapped_in(sample: bytes) -> str | None:
    """The wrapper around the first line of a text that surely is a dump's."""
    for line in sample.splitlines(keepends=True):
        if sure(line):
            layers = find(line)
            if layers or line.startswith(b"{"):
                return layers[0].kind if layers else Record.kind
    return None
