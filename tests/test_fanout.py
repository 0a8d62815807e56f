"""A file read in parts by several processes gives the report that one process gives."""

from __future__ import annotations

import io
import itertools
import os
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from threaddump import fanout
from threaddump.analysis import analyze
from threaddump.fanout import run, split
from threaddump.reports import json
from threaddump.sources import Source

FIXTURES = Path(__file__).parent.parent / "fixtures"
DUMPS = ("black-friday/scheduling.jcmd.txt", "hotspot/deadlock-two.txt", "hotspot/kill3-inside-log.txt")


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three processors, and parts worth a process from 40 kB on."""
    monkeypatch.setattr(fanout, "PART", 40_000)
    monkeypatch.setattr(fanout, "cpus", lambda: 3)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Dumps of three kinds in turns, with a log before, between and behind."""
    texts = [(FIXTURES / name).read_bytes().rstrip(b"\n") + b"\n" for name in DUMPS]
    log = b"".join(b"2026-11-22 20:00:%02d INFO order %d placed\n" % (n % 60, n) for n in range(40))
    path = tmp_path / "series.log"
    path.write_bytes(log + b"".join(text + log for text in itertools.islice(itertools.cycle(texts), 12)))
    return path


def report(path: Path) -> str:
    errors: list[object] = []
    made = analyze([Source("x", path)], lambda *error: errors.append(error))
    assert not errors
    out = io.StringIO()
    json.write(made, out)
    return out.getvalue()


def test_parts_cover_the_file_and_begin_where_a_dump_begins(series: Path, many: None) -> None:
    parts = split(Source("x", series))
    assert len(parts) == 3
    bounds = [part.part for part in parts if part.part is not None]
    assert bounds[0].start == 0
    assert bounds[-1].end == series.stat().st_size
    assert all(before.end == after.start for before, after in itertools.pairwise(bounds))
    text = series.read_bytes()
    for part in parts[1:]:
        assert part.part is not None
        begin = text[part.part.start :]
        assert b"Full thread dump " in b"\n".join(begin.split(b"\n")[:3])
        assert part.first_line() == text[: part.part.start].count(b"\n") + 1
        with part.open() as stream:
            assert stream.read() == text[part.part.start : part.part.end]


def test_the_report_is_the_same(series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = report(series)
    monkeypatch.setattr(fanout, "PART", 40_000)
    monkeypatch.setattr(fanout, "cpus", lambda: 3)
    assert report(series) == whole


def test_a_cut_that_falls_on_the_beginning_of_a_dump(tmp_path: Path, many: None) -> None:
    """Equal dumps in three parts: each keeps its time stamp."""
    dump = (FIXTURES / "hotspot/deadlock-two.txt").read_bytes().rstrip(b"\n") + b"\n"
    path = tmp_path / "six.txt"
    path.write_bytes(dump * 18)
    parts = split(Source("x", path))
    assert [part.part.start % len(dump) for part in parts if part.part] == [0, 0, 0]


def test_a_part_without_a_dump_is_no_error(tmp_path: Path, many: None) -> None:
    log = b"2026-11-22 20:00:00 INFO nothing of interest\n" * 2_000
    path = tmp_path / "late.log"
    path.write_bytes(log + (FIXTURES / "hotspot/deadlock-two.txt").read_bytes() + log)
    assert len(split(Source("x", path))) == 2
    assert '"deadlock"' in report(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_encoded_text_is_read_whole(series: Path, many: None, encoding: str) -> None:
    series.write_bytes(series.read_text().encode(encoding))
    assert split(Source("x", series)) == [Source("x", series)]


def test_small_files_and_standard_input_are_read_whole(tmp_path: Path, many: None) -> None:
    small = tmp_path / "small.txt"
    small.write_text("x")
    for source in (Source("x", small), Source("-", None), Source("x", tmp_path / "missing")):
        assert split(source) == [source]


def test_without_a_boundary_the_file_is_read_whole(tmp_path: Path, many: None) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"no dump\n" * 100_000)
    assert split(Source("x", path)) == [Source("x", path)]


def pid_of(_source: Source) -> int:
    return os.getpid()


def test_this_process_does_the_first_part(series: Path, many: None) -> None:
    first, *others = run(pid_of, split(Source("x", series)))
    assert first == os.getpid()
    assert os.getpid() not in others


def test_without_processes_the_work_is_done_here(series: Path, many: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import concurrent.futures

    def broken(**_: object) -> None:
        raise BrokenProcessPool

    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", broken)
    assert set(run(pid_of, split(Source("x", series)))) == {os.getpid()}
