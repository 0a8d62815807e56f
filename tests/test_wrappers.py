"""Dumps as transports deliver them: what is concluded is what is concluded from the plain dump."""

from __future__ import annotations

import html
import json
import re
import textwrap
import time
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import goldens
from threaddump import intake, prefixes, wrappers
from threaddump.analysis import analyze
from threaddump.report import DumpReport
from threaddump.sources import InputError
from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump

DUMPS = (
    "black-friday/scheduling.kill3.txt",
    "healthy/search.jcmd.txt",
    "black-friday/python-scheduling.py-spy-locals.txt",
    "black-friday/python-scheduling.faulthandler.txt",
    "faulthandler/python-3.14-thread-names.txt",
    "hotspot/deadlock-two.txt",
    "py-spy/python-3.12.txt",
    "py-spy-json/lock-contention.json",
    "javacore/deadlock-monitors-and-lock-synthetic.txt",
    "jrockit/r28-lock-chains-synthetic.txt",
)
A, B = "black-friday/scheduling.kill3.txt", "hotspot/deadlock-two.txt"
STARTED = b"2026-11-22 20:31:57,120 INFO  [main] c.s.Shop - Process 7: started\n"
FIRST = rb"Full|Process|Thread|Current|Timeout|Fatal|\[|0SECTION|===== FULL"
Wrap = Callable[[list[bytes]], Iterator[bytes]]


def lines_of(name: str) -> list[bytes]:
    return goldens.content(name).replace(b"\r\n", b"\n").splitlines(keepends=True)


def reports(content: bytes) -> list[DumpReport]:
    errors: list[InputError] = []
    report = analyze([goldens.source(content)], lambda _, error: errors.append(error))
    assert not errors, errors
    return report.dumps


def essence(dump: DumpReport) -> tuple[object, ...]:
    """All that is concluded, but no line numbers."""
    return (
        (dump.format, dump.version, dump.taken_at, dump.pid, dump.total, dump.unread_lines, dump.truncated),
        dump.by_state,
        dump.by_kind,
        [(g.kind, g.count, g.blocking_frame, g.caller, sorted(g.threads)) for g in dump.groups],
        [(k.id, k.class_name, k.owner and k.owner.thread, len(k.waiting)) for k in dump.locks],
        [(d.threads, d.behind, d.reported_by_runtime) for d in dump.deadlocks],
        sorted(f.id for f in dump.findings),
    )


@cache
def plain(name: str) -> list[tuple[object, ...]]:
    return [essence(dump) for dump in reports(goldens.content(name))]


def each(prefix: Callable[[int], str], trim: bool = False) -> Wrap:
    """The prefix before every line. Some tools trim the blanks at the end of a line that is empty otherwise."""

    def wrap(lines: list[bytes]) -> Iterator[bytes]:
        for number, line in enumerate(lines):
            before = prefix(number).encode()
            yield (before.rstrip() if trim and not line.strip() else before) + line

    return wrap


def stamp(n: int) -> str:
    return f"2026-11-22T20:{n // 60 % 60:02}:{n % 60:02}.{n * 7919 % 10**9:09}Z"


def cri(lines: list[bytes]) -> Iterator[bytes]:
    """Long lines come in pieces; stdout and stderr in turns."""
    for n, line in enumerate(lines):
        text = line.removesuffix(b"\n")
        pieces = [text[at : at + 60] for at in range(0, len(text), 60)] or [b""]
        for piece in pieces[:-1]:
            yield f"{stamp(n)} stderr P ".encode() + piece + b"\n"
            yield f"{stamp(n)} stdout F GET /health 200\n".encode()
        yield f"{stamp(n)} stderr F ".encode() + pieces[-1] + b"\n"


def records(**fields: object) -> Wrap:
    """One record a line; its text is the first field, whose value is a line end or nothing."""

    def wrap(lines: list[bytes]) -> Iterator[bytes]:
        (name, end), *others = fields.items()
        for n, line in enumerate(lines):
            text = line.decode().removesuffix("\n") + str(end)
            yield json.dumps({"time": stamp(n), name: text, **dict(others)}).encode() + b"\n"

    return wrap


def one_record(lines: list[bytes]) -> Iterator[bytes]:
    yield json.dumps({"@timestamp": stamp(0), "log.level": "INFO", "message": "started"}).encode() + b"\n"
    text = b"".join(lines).decode()
    yield json.dumps({"@timestamp": stamp(1), "message": text, "service": {"name": "orders"}}).encode() + b"\n"


def cri_of(wrap: Wrap) -> Wrap:
    return lambda lines: (f"{stamp(0)} stdout F ".encode() + line for line in wrap(lines))


def docker_pieces(lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        pieces = [line.decode()[at : at + 16384] for at in range(0, len(line), 16384)]
        for piece in pieces:
            yield json.dumps({"log": piece, "stream": "stdout", "time": stamp(1)}).encode() + b"\n"


def cri_pieces(lines: list[bytes]) -> Iterator[bytes]:
    """The whole dump is one record, longer than a line of the container runtime may be."""
    for line in one_record(lines):
        text = line.removesuffix(b"\n")
        pieces = [text[at : at + 16384] for at in range(0, len(text), 16384)]
        for n, piece in enumerate(pieces, 1):
            yield f"{stamp(n)} stdout {'F' if n == len(pieces) else 'P'} ".encode() + piece + b"\n"


def page(lines: list[bytes]) -> Iterator[bytes]:
    yield b"<html><body><h1>Ticket</h1><pre>"
    yield from (html.escape(line.decode()).encode() for line in lines)
    yield b"</pre></body></html>\n"


def first_only(lines: list[bytes]) -> Iterator[bytes]:
    """A logger that prints one message of many lines; a title has to be its first line."""
    start = next(n for n, line in enumerate(lines) if re.match(FIRST, line))
    yield from (stamp(1).encode() + b" ERROR [exec-7] " + line if n == start else line for n, line in enumerate(lines))


def whole(change: Callable[[str], str]) -> Wrap:
    """A change of the text as a whole."""
    return lambda lines: iter([change(b"".join(lines).decode()).encode()])


def with_breaks(end: str) -> Wrap:
    """A page whose lines end in tags; blanks at their beginning are kept as entities."""

    def wrap(lines: list[bytes]) -> Iterator[bytes]:
        texts = [html.escape(line.decode().rstrip("\n")).replace("  ", "&nbsp; ") for line in lines]
        yield f"<div>{end.join(texts)}</div>\n".encode()

    return wrap


def cut_by_a_log(lines: list[bytes]) -> Iterator[bytes]:
    for number, line in enumerate(lines):
        yield line
        if number % 9 == 8:
            yield b"2026-11-22 20:59:01,123 INFO  [x] c.s.Y - order placed\n"


REWRITTEN: dict[str, Wrap] = {
    "breaks": with_breaks("<br>\n"),
    "breaks-in-one-line": with_breaks("<br/>"),
    "flat": lambda lines: (line.lstrip(b" \t") or b"\n" for line in lines),
    "flat-without-blank-lines": lambda lines: (line.lstrip() for line in lines),
    "without-blank-lines": lambda lines: (line for line in lines if line.strip()),
    "double-spaced": lambda lines: (line + b"\n" for line in lines),
    "tabs-of-4": lambda lines: (line.expandtabs(4) for line in lines),
    "tabs-of-8": lambda lines: (line.expandtabs(8) for line in lines),
    "blanks-at-the-end": lambda lines: (line.removesuffix(b"\n") + b"   \n" for line in lines),
    "tab-and-blanks-before": each(lambda _: "\t  "),
    "curly-quotes": whole(lambda text: re.sub('"([^"\n]*)"', "\u201c\\1\u201d", text)),
    "closing-curly-quotes": whole(lambda text: text.replace('"', "\u201d")),
    "curly-quotes-of-windows": lambda lines: (re.sub(rb'"([^"\n]*)"', b"\x93\\1\x94", line) for line in lines),
    "fence": whole(lambda text: f"Look:\n\n```\n{text}```\n"),
    "quoted-fence": lambda lines: (b"> " + line for line in [b"```\n", *lines, b"```\n"]),
    "cr-cr-lf": lambda lines: (line.replace(b"\n", b"\r\r\n") for line in lines),
    "cr": lambda lines: (line.replace(b"\n", b"\r") for line in lines),
    "log4j": each(lambda n: f"[2026-11-22 20:59:{n % 60:02}.{n % 1000:03}] [WARN ] [exec-{n % 7}] [c.s.W:42] - "),
    "python-logging": each(lambda _: "WARNING:root:"),
    "python-logging-with-time": each(lambda n: f"2026-11-22 20:59:{n % 60:02},{n % 1000:03} - shop.dump - ERROR - "),
    "glog": each(lambda n: f"E1122 20:59:{n % 60:02}.{n:06} 1 dump.py:42] "),
    "gunicorn": each(lambda n: f"[2026-11-22 20:59:{n % 60:02} +0000] [42] [ERROR] "),
    "stern": each(lambda _: "orders-7d9f8b6c5-x2x9q orders "),
    "cloudwatch": each(lambda n: f"2026-11-22T20:59:{n % 60:02}.123000+00:00 orders/orders/3f2a "),
    "google-cloud": records(textPayload="", resource={"labels": {"pod_name": "orders-0"}}),
}
"""What editors, chats, wikis, terminals and loggers do to the lines themselves."""
WRAPPERS: dict[str, Wrap] = {
    "kubectl-prefix": each(lambda _: "[pod/orders-7d9f8b6c5-x2x9q/orders] "),
    "kubectl-prefix-trimmed": each(lambda _: "[pod/orders-7d9f8b6c5-x2x9q/orders] ", trim=True),
    "kubectl-timestamps": each(lambda n: stamp(n) + " "),
    "kubectl-prefix-timestamps": each(lambda n: f"[pod/orders-0/orders] {stamp(n)} "),
    "cri": cri,
    "compose": each(lambda _: "orders-1     | "),
    "compose-timestamps": each(lambda n: f"orders-1  | {stamp(n)} "),
    "swarm": each(lambda _: "shop_orders.2.k3x9@node-4    | "),
    "journald": each(lambda n: f"Nov  2 20:59:{n % 60:02} app-01 orders[4242]: "),
    "journald-iso": each(lambda n: f"2026-11-22T20:59:{n % 60:02}+0100 app-01 orders[4242]: "),
    "syslog-3164": each(lambda n: f"<14>Nov 22 20:59:{n % 60:02} app-01 orders: "),
    "syslog-5424": each(lambda n: f'<14>1 {stamp(n)} app-01 orders 4242 - [meta sequenceId="{n}"] '),
    "docker-json-file": records(log="\n", stream="stdout"),
    "fluentd": records(log="", stream="stdout", kubernetes={"pod_name": "orders-0", "container_name": "orders"}),
    "ecs": records(message="", ecs={"version": "1.2"}),
    "journald-json": records(MESSAGE="", _HOSTNAME="app-01", _SYSTEMD_UNIT="orders.service"),
    "one-record": one_record,
    "cri-of-json": cri_of(records(message="")),
    "docker-of-json": lambda lines: records(log="\n", stream="stdout")(list(records(message="")(lines))),
    "docker-pieces": docker_pieces,
    "docker-pieces-of-one-record": lambda lines: docker_pieces(list(one_record(lines))),
    "cri-pieces-of-one-record": cri_pieces,
    "quote": each(lambda _: "> "),
    "quote-trimmed-twice": each(lambda _: "> > ", trim=True),
    "indented": each(lambda _: "    "),
    "indented-trimmed": each(lambda _: "      ", trim=True),
    "tab": each(lambda _: "\t"),
    "logger": each(lambda n: f"2026-11-22 20:59:{n % 60:02},{n % 1000:03} ERROR [exec-7] c.s.Watchdog - "),
    "logger-in-pod": each(lambda n: f"[pod/orders-0/orders] {stamp(n)} WARN  {n} --- [exec-7] dump : "),
    "grep-n": each(lambda n: f"{n + 1}:"),
    "cat-n": each(lambda n: f"{n + 1:6}\t"),
    "logger-first-line": first_only,
    "page": page,
    "crlf": each(lambda _: "[pod/orders-0/orders] "),
}
NO_JSON = {
    "cri",  # the record of the health check would be read as a dump's: a JSON dump is one text
    "indented",  # is plain JSON
    "indented-trimmed",
    "tab",
    "page",
    "logger",  # "[" is in every log: a prefix that nobody knows is found by words
    "logger-in-pod",
    "logger-first-line",
    "grep-n",
    "cat-n",
}


@pytest.mark.parametrize("name", DUMPS)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapped_dump_says_what_the_plain_one_says(wrapper: str, name: str) -> None:
    if name.endswith(".json") and wrapper in NO_JSON:
        pytest.skip("a JSON document is not delivered so")
    wrapped = b"".join(WRAPPERS[wrapper](lines_of(name)))
    if wrapper == "crlf":
        wrapped = wrapped.replace(b"\n", b"\r\n")
    assert [essence(dump) for dump in reports(wrapped)] == plain(name)


@pytest.mark.parametrize("name", [name for name in DUMPS if not name.endswith(".json")])
@pytest.mark.parametrize("rewritten", REWRITTEN)
def test_a_rewritten_dump_says_what_the_plain_one_says(rewritten: str, name: str) -> None:
    if name.startswith("jrockit/") and rewritten in {"flat", "flat-without-blank-lines", "double-spaced"}:
        pytest.skip("the indentation of JRockit's frames is grammar, and so are its blank lines")
    content = b"".join(REWRITTEN[rewritten](lines_of(name)))
    assert [essence(dump) for dump in reports(content)] == plain(name)


@pytest.mark.parametrize("name", [name for name in DUMPS if not name.endswith(".json")])
def test_a_dump_that_a_log_cuts_into(name: str) -> None:
    (dump,) = reports(b"".join(cut_by_a_log(lines_of(name))))
    (first, *rest), *_ = plain(name)
    assert essence(dump)[1:] == tuple(rest)
    assert essence(dump)[0][:5] == first[:5]  # type: ignore[index]


@pytest.mark.parametrize("name", [name for name in DUMPS if not name.endswith(".json")])
def test_a_wiki_that_eats_what_looks_like_a_tag(name: str) -> None:
    """Locks have no ids then, and nothing is made up for them."""
    (dump,) = reports(re.sub(rb"<[^<>\n]*>", b"", b"".join(lines_of(name))))
    total, by_state = plain(name)[0][0][4], plain(name)[0][1]  # type: ignore[index]
    assert (dump.total, dump.by_state) == (total, by_state)


@pytest.mark.parametrize("name", [name for name in DUMPS if not name.endswith(".json")])
def test_broken_bytes_in_a_dump(name: str) -> None:
    lines = lines_of(name)
    frames = [n for n, line in enumerate(lines) if line.startswith((b"\tat ", b"    at ", b"    ", b"  File "))]
    for n in frames[9::50]:
        lines[n] = lines[n].removesuffix(b"\n") + b" \xff\xfe\x80\n"
    (dump,) = reports(b"".join(lines))
    assert dump.total == plain(name)[0][0][4]  # type: ignore[index]


@pytest.mark.parametrize("wrapper", ["kubectl-prefix", "journald", "docker-json-file", "logger", "quote"])
def test_lines_have_the_numbers_of_the_file(wrapper: str) -> None:
    lines = lines_of(A)
    wrapped = b"READY\n\n" + b"".join(WRAPPERS[wrapper](lines))
    (before,), (after,) = read(b"".join(lines)), read(wrapped)
    assert [thread.line for thread in after.threads] == [thread.line + 2 for thread in before.threads]
    assert (after.line, after.end_line) == (before.line + 2, before.end_line + 2)


def test_goroutines_that_were_counted_stand_in_their_line() -> None:
    """Those of one entry are one object."""
    lines = lines_of("goroutine/stuck-debug1.txt")
    (plain,), (wrapped,) = read(b"".join(lines)), read(b"READY\n" * 3 + b"".join(WRAPPERS["kubectl-prefix"](lines)))
    assert [thread.line for thread in wrapped.threads] == [thread.line + 3 for thread in plain.threads]


def test_the_threads_of_a_wrapped_javacore_may_be_far_behind_its_title() -> None:
    lines = lines_of("javacore/out-of-memory-synthetic.txt")
    at = next(number for number, line in enumerate(lines) if line.startswith(b"1CIENVVARS"))
    lines[at:at] = [b"2CIUSERARG               -Dshop.item=%d\n" % number for number in range(2000)]
    (dump,) = read(b"READY\n" + b"".join(WRAPPERS["logger"](lines)))
    assert (dump.format, len(dump.threads), dump.truncated, dump.unread_lines) == ("javacore", 16, [], 0)
    assert dump.event is not None
    assert (dump.line, dump.event.line) == (2, 6)


@pytest.mark.parametrize("name", [A, B])
def test_a_mail_with_broken_lines(name: str) -> None:
    folded = [
        part
        for line in lines_of(name)
        for part in textwrap.wrap(
            line.decode().expandtabs(), 74, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
        )
        or [""]
    ]
    mail = "On Fri, Ops <ops@example.com> wrote:\n" + "".join(f"> {line}\n" for line in folded)
    assert [essence(dump) for dump in reports(mail.encode())] == plain(name)


@pytest.mark.parametrize(
    ("names", "a", "b"),
    [
        (["orders", "orders-a"], "[pod/orders-a/orders] ", "[pod/sched-b/sched] "),
        (["orders", "orders-1"], "orders-1 | ", "sched-1  | "),
        (["orders", None], "Nov 22 20:59:01 app-01 orders[42]: ", "Nov 22 20:59:01 app-02 sched[43]: "),
    ],
)
def test_two_processes_in_one_log(names: list[str | None], a: str, b: str) -> None:
    first, second = [*each(lambda _: a)(lines_of(A))], [*each(lambda _: b)(lines_of(B))]
    mixed: list[bytes] = []
    while first or second:
        mixed += first[:3] + second[:2]
        del first[:3], second[:2]
    one, two = sorted(reports(b"".join(mixed)), key=lambda dump: dump.service or "")
    assert [essence(one), essence(two)] == plain(A) + plain(B)
    assert [one.service, one.instance] == names
    assert two.service == "sched"


def test_what_the_wrapper_names() -> None:
    def names(wrapper: str) -> tuple[str | None, ...]:
        (dump,) = read(b"".join(WRAPPERS[wrapper](lines_of(B))))
        return dump.service, dump.instance, dump.host

    assert names("kubectl-prefix-timestamps") == ("orders", "orders-0", None)
    assert names("compose") == ("orders", "orders-1", None)
    assert names("swarm") == ("shop_orders", "shop_orders.2.k3x9", "node-4")
    assert names("journald") == names("journald-iso") == names("syslog-5424") == ("orders", None, "app-01")
    assert names("journald-json") == ("orders.service", None, "app-01")
    assert names("fluentd") == ("orders", "orders-0", None)
    assert names("one-record") == ("orders", None, None)
    assert names("quote") == names("logger") == (None, None, None)


def test_several_dumps_and_kinds_in_one_wrapped_log() -> None:
    log = [b"order %d placed\n" % n for n in range(700)]
    lines = [*log, *lines_of(B), *log, *lines_of("py-spy/python-3.12.txt"), *log, *lines_of(A)]
    for wrapper in ("kubectl-prefix", "docker-json-file", "logger"):
        found = reports(b"".join(WRAPPERS[wrapper](lines)))
        assert [dump.format for dump in found] == ["hotspot", "py-spy", "hotspot"]


def test_a_silent_process_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrappers, "WAITING", 10_000)
    cut = [*each(lambda _: "[pod/a/a] ")(lines_of(A)[:200])]
    rest = [*each(lambda _: "[pod/b/b] ")([b"order placed\n"] * 5000 + lines_of(B))]
    one, two = read(b"".join([*cut, *rest]))
    assert (one.service, two.service, len(two.threads)) == ("a", "b", plain(B)[0][0][4])  # type: ignore[index]


# --- what is no wrapper


def read(content: bytes) -> list[Dump]:
    return list(intake.dumps(goldens.source(content)))


def test_a_prefix_is_believed_in_only_if_a_dump_follows() -> None:
    name = "hotspot/kill3-inside-log.txt"
    content = STARTED * 50 + goldens.content(name)
    assert [essence(dump)[1:] for dump in reports(content)] == [essence[1:] for essence in plain(name)]
    with pytest.raises(InputError, match="no thread dump in it"):
        read(STARTED * 5000)
    content = STARTED * 2 * wrappers.PROBES + b"".join(WRAPPERS["compose"](lines_of(B)))
    assert [essence(dump) for dump in reports(content)] == plain(B)


def test_the_wrapper_of_an_unreadable_dump_is_named() -> None:
    title = "Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode):\n"
    with pytest.raises(InputError, match="out of its wrapper: JSON log") as caught:
        read(json.dumps({"level": 3, "body": title}).encode())
    assert "jq -r" in caught.value.hint
    header = b"Thread 0x00007f28dcff96c0 (most recent call first):\n"
    for prefix, kind in ((b"Nov 22 20:59:01 app-01 x[1]: ", "journald or syslog"), (b"x-1 | ", "docker compose logs")):
        assert prefixes.wrapped_in(STARTED + prefix + header) == kind
    assert prefixes.wrapped_in(STARTED + header) is None


@pytest.mark.parametrize("name", goldens.fixtures())
def test_a_plain_dump_is_not_unwrapped(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrappers, "Streams", lambda *_: pytest.fail("unwrapped"))
    content = goldens.content(name)
    assert not prefixes.is_html(content[: intake.SAMPLE])
    read(content)


# --- whatever comes

PIECES = st.sampled_from(
    [
        *(b"\n", b"\n", b'"', b"&quot;", b"<pre>", b"{", b"}", b"\\n", b"> ", b"\t", b"    ", b" | ", b"at "),
        *(
            b"[pod/a/b] ",
            b'{"log": "',
            b'"}',
            b"2026-11-22T20:59:01Z ",
            b"stdout P ",
            b"stdout F ",
            b"ERROR ",
            b"web-1 | ",
        ),
        *(
            b"Nov 22 20:59:01 a b[1]: ",
            b"<14>1 - a b c - - ",
            b"Full thread dump VM (1):",
            b"Process 7: x",
            b"Python v3.11",
        ),
        *(b'Thread 7 (idle): "x"', b"    f (x.py:1)", b"Thread 0x1 (most recent call first):"),
        *(b'"main" #1 prio=5 tid=0x1 nid=0x1 runnable', b'  File "x", line 1 in f'),
    ]
)


@given(st.lists(PIECES | st.binary(max_size=6), max_size=40).map(b"".join))
@example(b'{"log": "Full thread dump VM (1):')
@example(b"> " + b"at " * 40)
def test_nothing_is_too_odd(content: bytes) -> None:
    try:
        for dump in read(content):
            last = content.count(b"\n") + 1
            assert all(1 <= line <= last for line in (dump.line, *(thread.line for thread in dump.threads)))
    except InputError:
        pass


class Recorder(wrappers.Streams):
    """Notes what the parsers would get."""

    def __init__(self, lines: list[bytes]) -> None:
        self.passed: list[tuple[int, bytes]] = []
        super().__init__(Lines(lines), prefixes.find(b"[pod/a/b] Full thread dump VM (1):\n"))

    def _add(self, _: object, number: int, line: bytes) -> None:
        self.passed.append((number, line))


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b"") + b"\n"))))
def test_nothing_but_the_wrapper_is_taken_off(lines: list[tuple[bool, bytes]]) -> None:
    recorder = Recorder([b"[pod/a/b] " * wrapped + line for wrapped, line in lines])
    assert list(recorder.dumps()) == []
    assert recorder.passed == [(number, line) for number, (_, line) in enumerate(lines, 1)]


@pytest.mark.parametrize(
    "line",
    [
        *(
            part * (200_000 // len(part))
            for part in (b"[", b"{", b"> ", b" ", b"1 ", b"<pre>", b"&quot; ", b"\t\n", b"a-")
        ),
        *(
            part * 20_000
            for part in (
                b"Process 1",
                b"hread 0x1 ",
                b"2026-11-22T20:59:01Z ",
                b"> \n",
                b"> at\n",
                b"a@",
                b"> at %s\n" % (b"x" * 70),
            )
        ),
        *(b'"' * 200_000 + b" tid=0x", b"<14>1 - a b c - " + b"[]" * 90_000),
    ],
    ids=lambda line: line[:12].decode(),
)
def test_hostile_lines_cost_no_more_than_their_length(line: bytes) -> None:
    start = time.perf_counter()
    with pytest.raises(InputError):
        read(line)
    assert time.perf_counter() - start < 10  # about 0.1 s; minutes if a pattern went astray
