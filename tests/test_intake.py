"""From bytes to dumps: encodings, line ends, noise, several dumps and formats in one input, and big files in parts."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threaddump
from threaddump import fanout, intake
from threaddump.analysis import analyze
from threaddump.report import Report
from threaddump.reports import json as json_report
from threaddump.sources import InputError, Source
from threaddump_parsers.model import Dump

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
HOTSPOT = (FIXTURES / "hotspot" / "deadlock-two.txt").read_bytes()
PY_SPY = (FIXTURES / "py-spy" / "python-3.12.txt").read_bytes()
PY_JSON = (FIXTURES / "py-spy-json" / "lock-contention.json").read_bytes()
FAULT = (FIXTURES / "faulthandler" / "python-3.12.txt").read_bytes()
LOG = b"2026-11-22 20:31:57,120 INFO order 7 placed\n2026-11-22 20:31:58,001 WARN slow: 5012 ms\n\n"


class Bytes(Source):
    """A source that holds its bytes itself."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        super().__init__("input.txt", None)
        object.__setattr__(self, "content", content)

    def open(self):  # type: ignore[no-untyped-def]
        return io.BytesIO(self.content)


def read(content: bytes) -> list[Dump]:
    return list(intake.dumps(Bytes(content)))


def summary(dumps: list[Dump]) -> list[tuple[object, ...]]:
    return [
        (
            dump.format,
            dump.version,
            [(t.name, t.state, [f.function for f in t.stack]) for t in dump.threads],
            dump.truncated,
        )
        for dump in dumps
    ]


# --- encodings and line ends


@pytest.mark.parametrize(
    "content", [HOTSPOT, PY_SPY, PY_JSON, FAULT], ids=["hotspot", "py-spy", "py-spy-json", "faulthandler"]
)
@pytest.mark.parametrize(
    "encoded",
    [
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: raw.decode().encode("utf-16"),
        lambda raw: b"\xfe\xff" + raw.decode().encode("utf-16-be"),
        lambda raw: raw.decode().encode("utf-16-le"),
        lambda raw: raw.decode().encode("utf-16-be"),
        lambda raw: raw.decode().encode("utf-32"),
        lambda raw: b"\x00\x00\xfe\xff" + raw.decode().encode("utf-32-be"),
        lambda raw: raw.decode().encode("utf-32-le"),
        lambda raw: raw.decode().encode("utf-32-be"),
        lambda raw: raw.replace(b"\n", b"\r"),
        lambda raw: raw.replace(b"\n", b"\r").decode().encode("utf-16"),
        lambda raw: raw.replace(b"\n", b"\r\n").decode().encode("utf-16"),
        lambda raw: raw.removesuffix(b"\n"),
        lambda raw: b"\n\n" + raw + b"\n\n",
        lambda raw: b"\x1b[0m" + raw.replace(b"\n", b"\x1b[0m\n"),
        lambda raw: b"\x1b[1m" + raw.replace(b"\n", b"\x1b[K\r\n"),
    ],
    ids=[
        "CR LF", "UTF-8 with mark", "UTF-16", "UTF-16 BE", "UTF-16 LE without mark", "UTF-16 BE without mark",
        "UTF-32", "UTF-32 BE", "UTF-32 LE without mark", "UTF-32 BE without mark", "CR", "UTF-16 CR",
        "UTF-16 CR LF", "no last line end", "blank lines", "colours", "colours and CR LF",
    ],
)  # fmt: skip
def test_the_same_dump_in_another_coat(content: bytes, encoded: object) -> None:
    assert callable(encoded)
    assert summary(read(encoded(content))) == summary(read(content))


def test_latin_1_is_read_and_odd_bytes_are_kept_as_marks() -> None:
    content = HOTSPOT.replace(b'"transfer-A-to-B" #', '"überweisung" #'.encode("latin-1"))
    (dump,) = read(content)
    assert "\ufffdberweisung" in [thread.name for thread in dump.threads]
    assert len(dump.threads) == len(read(HOTSPOT)[0].threads)


def test_some_odd_bytes_do_not_make_a_file_binary() -> None:
    content = LOG + b"\x00\x01\x02 progress\r\n" + HOTSPOT
    assert len(read(content)) == 1


def test_a_sequence_of_the_terminal_across_the_line() -> None:
    content = b"\x1b]0;pod-7\x07" + HOTSPOT.replace(b"Full thread", b"\x1b[1;32mFull\x1b[0m thread")
    assert summary(read(content)) == summary(read(HOTSPOT))


@pytest.mark.parametrize("content", [b"", b"\n", b"   \r\n\r\n", b"\xff\xfe", b"\xef\xbb\xbf"])
def test_an_empty_input(content: bytes) -> None:
    with pytest.raises(InputError):
        read(content)


@pytest.mark.parametrize(
    "content",
    [bytes(range(256)) * 100, b"\x00" * 5000, b"\x7fELF" + bytes(200), b"\x89PNG\r\n\x1a\n" + bytes(range(32)) * 50],
)
def test_a_binary_file(content: bytes) -> None:
    with pytest.raises(InputError, match="not a text with thread dumps"):
        read(content)


def test_a_binary_file_with_a_dump_in_it_is_still_binary() -> None:
    with pytest.raises(InputError, match="binary"):
        read(bytes(range(256)) * 100 + HOTSPOT)


# --- long lines


def test_an_input_without_line_ends_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "LINE_LIMIT", 1 << 16)
    pieces: list[int] = []
    claimant = intake.claimant

    def watching(line: bytes) -> object:
        pieces.append(len(line))
        return claimant(line)

    monkeypatch.setattr(intake, "claimant", watching)
    with pytest.raises(InputError, match="no thread dump"):
        read(b"x" * 3_000_000)
    assert max(pieces) <= intake.SAMPLE + (1 << 16)
    assert len(pieces) > 20


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_very_long_line_in_front_of_a_dump(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "LINE_LIMIT", 1 << 16)
    content = ("x" * 500_000 + "\n" + HOTSPOT.decode()).encode(encoding)
    (dump,) = read(content)
    assert len(dump.threads) == len(read(HOTSPOT)[0].threads)


def test_a_very_long_name_costs_its_length() -> None:
    name = b"x" * 200_000
    (dump,) = read(HOTSPOT.replace(b'"transfer-A-to-B" #', b'"' + name + b'" #'))
    assert max(len(thread.name) for thread in dump.threads) == 200_000


def test_memory_does_not_grow_with_what_is_not_a_dump(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    with path.open("wb") as file:
        for _ in range(200):
            file.write(LOG * 500)
        file.write(HOTSPOT)
    assert path.stat().st_size > 8_000_000
    tracemalloc.start()
    try:
        (dump,) = intake.dumps(Source("app.log", path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert dump.line > 300_000
    assert peak < 3_000_000


# --- several dumps, several formats, noise


def test_two_dumps_in_one_file_with_their_lines() -> None:
    first, second = read(HOTSPOT + LOG + HOTSPOT)
    assert summary([first]) == summary([second])
    assert first.line == 1
    assert second.line == HOTSPOT.count(b"\n") + LOG.count(b"\n") + 1
    shift = second.threads[0].line - first.threads[0].line
    assert shift == second.line - 1
    assert first.end_line < second.line


def test_dumps_of_several_formats_in_one_file() -> None:
    parts = [HOTSPOT, PY_SPY, FAULT, PY_JSON]
    found = read(LOG + LOG.join(parts) + LOG)
    assert [dump.format for dump in found] == ["hotspot", "py-spy", "faulthandler", "py-spy-json"]
    assert [len(dump.threads) for dump in found] == [len(read(part)[0].threads) for part in parts]


@pytest.mark.parametrize("first", [HOTSPOT, PY_SPY, FAULT, PY_JSON])
@pytest.mark.parametrize("second", [HOTSPOT, PY_SPY, FAULT, PY_JSON])
def test_any_format_after_any_other_without_a_blank_line(first: bytes, second: bytes) -> None:
    found = read(first + second)
    total = sum(len(dump.threads) for dump in found)
    assert total == len(read(first)[0].threads) + len(read(second)[0].threads)


@pytest.mark.parametrize("content", [HOTSPOT, PY_SPY, FAULT, PY_JSON])
def test_a_log_around_a_dump_changes_nothing(content: bytes) -> None:
    (dump,) = read(LOG * 30 + content + LOG * 30)
    (alone,) = read(content)
    assert summary([dump])[0][:3] == summary([alone])[0][:3]
    assert dump.truncated == alone.truncated
    assert dump.line >= LOG.count(b"\n") * 30


def test_what_cuts_into_a_dump_is_counted_with_its_line() -> None:
    middle = HOTSPOT.index(b'"transfer-A-to-B" #')
    content = HOTSPOT[:middle] + LOG + HOTSPOT[middle:]
    (dump,) = read(content)
    assert len(dump.threads) == len(read(HOTSPOT)[0].threads)
    assert dump.unread_lines == 2
    start = HOTSPOT[:middle].count(b"\n") + 1
    assert [problem.line for problem in dump.problems] == [start, start + 1]


ALL_LINES = sorted({line for text in (HOTSPOT, PY_SPY, FAULT, LOG) for line in text.splitlines(keepends=True)})


@settings(max_examples=60)
@given(st.lists(st.sampled_from(ALL_LINES), max_size=60))
def test_lines_of_all_formats_in_any_order_do_no_harm(lines: list[bytes]) -> None:
    content = b"".join(lines)
    try:
        found = read(content)
    except InputError:
        return
    last = content.count(b"\n")
    for dump in found:
        assert 1 <= dump.line <= last
        assert all(1 <= thread.line <= last for thread in dump.threads)
        assert all(1 <= problem.line <= last for problem in dump.problems)


@settings(max_examples=100)
@given(st.binary(max_size=2000), st.booleans())
def test_any_bytes_do_no_harm(content: bytes, with_dump: bool) -> None:
    try:
        read(content + (HOTSPOT if with_dump else b""))
    except InputError:
        pass


# --- big files in parts


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "PART", 20_000)
    monkeypatch.setattr(fanout, "cpus", lambda: 3)


def report_on(path: Path) -> tuple[Report, list[InputError]]:
    errors: list[InputError] = []
    return analyze([Source("input.txt", path)], lambda _, error: errors.append(error)), errors


def as_text(report: Report) -> str:
    out = io.StringIO()
    json_report.write(report, out)
    return out.getvalue()


SERIES = b"".join((FIXTURES / "hotspot" / f"series-{n}-of-3.txt").read_bytes() + LOG for n in (1, 2, 3))


@pytest.mark.parametrize(
    "content",
    [
        SERIES,
        LOG * 50 + SERIES,
        SERIES.replace(b"\n", b"\r\n"),
        SERIES.removesuffix(b"\n") + b"\nlast",
        SERIES + SERIES,
        SERIES + PY_SPY + FAULT + SERIES,
        SERIES + PY_SPY * 20,
        SERIES.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + SERIES,
    ],
    ids=["series", "log in front", "CR LF", "no last line end", "twice", "mixed", "py-spy last", "UTF-16", "mark"],
)
def test_parts_give_the_same_report_as_the_whole(tmp_path: Path, content: bytes, in_parts: None) -> None:
    path = tmp_path / "big.txt"
    path.write_bytes(content)
    parts = fanout.split(Source("input.txt", path))
    assert (len(parts) > 1) is not content.startswith((b"\xff\xfe", b"\xef\xbb\xbf"))
    report, errors = report_on(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fanout, "PART", 1 << 40)
        whole, _ = report_on(path)
    assert errors == []
    assert as_text(report) == as_text(whole)


@pytest.mark.parametrize(
    "content",
    [
        LOG * 2000,
        b"Full thread dump of nothing\n" + LOG * 2000,
        (LOG * 500 + b"Full thread dump X (1.0 mode):\n") * 4,
    ],
    ids=["log", "a title", "titles"],
)
def test_a_big_file_without_a_thread_is_refused(tmp_path: Path, content: bytes, in_parts: None) -> None:
    path = tmp_path / "big.txt"
    path.write_bytes(content)
    report, errors = report_on(path)
    assert (report.dumps, len(errors)) == ([], 1)
    assert errors[0].hint


def test_functions_for_python_hold_for_more_than_one_call() -> None:
    """No module of the package may take the name of one of its functions: importing it would hide the function."""
    path = FIXTURES / "hotspot" / "deadlock-two.txt"
    first, second = threaddump.analyze(path), threaddump.analyze(path, path)
    assert [len(first.dumps), len(second.dumps)] == [1, 2]
    assert second.dumps[0].findings == first.dumps[0].findings
    assert [dump.total for report in (first, second) for dump in report.dumps] == [
        len(dump.threads) for dump in (*threaddump.read(path), *threaddump.read(path), *threaddump.read(path))
    ]
