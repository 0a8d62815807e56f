"""The same dump given twice is named, in whatever coat it comes, and two dumps that only look alike are not."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import pytest

import goldens
import variants
from threaddump.analysis import analyze
from threaddump.report import Report
from threaddump.reports import json, markdown, terminal
from threaddump.sources import InputError, Source

TIMED = "hotspot/deadlock-two.txt"
UNTIMED = (
    "py-spy/python-3.12.txt",
    "py-spy-json/lock-contention.json",
    "faulthandler/python-3.12.txt",
    "black-friday/python-scheduling.py-spy-locals.txt",
    "actuator/monitor-convoy.json",
)


def report_on(*contents: bytes) -> Report:
    def fail(_: Source, error: InputError) -> None:
        raise error

    return analyze([goldens.source(content, f"{n}.txt") for n, content in enumerate(contents, 1)], fail)


def duplicates(*contents: bytes) -> list[str | None]:
    return [dump.duplicate_of for dump in report_on(*contents).dumps]


def prefixed(prefix: bytes) -> Callable[[bytes], bytes]:
    return lambda raw: b"".join(prefix + line for line in raw.splitlines(keepends=True))


COATS: dict[str, Callable[[bytes], bytes]] = {
    **{name: change for name, change in variants.SAME.items() if name != "twice"},
    "gzip": gzip.compress,
    "kubectl": prefixed(b"[pod/orders-0/orders] "),
    "journald": prefixed(b"Nov 22 20:59:01 app-01 orders[42]: "),
    "quoted": prefixed(b"> "),
}


@pytest.mark.parametrize("coat", COATS)
@pytest.mark.parametrize("name", [TIMED, *UNTIMED])
def test_a_dump_in_another_coat_is_a_duplicate(name: str, coat: str) -> None:
    if name.endswith(".json") and coat in {*variants.SENSELESS_FOR_JSON, "quoted"}:
        pytest.skip("a JSON document is not delivered so")
    raw = goldens.content(name)
    assert duplicates(raw, COATS[coat](raw)) == [None, "d1"]


@pytest.mark.parametrize("name", [TIMED, *UNTIMED])
def test_a_dump_twice_in_one_file_is_a_duplicate(name: str) -> None:
    raw = goldens.content(name).rstrip(b"\n") + b"\n"
    assert duplicates(raw + variants.LOG + raw) == [None, "d1"]
    assert duplicates(raw, raw, raw) == [None, "d1", "d1"]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("py-spy/python-3.12.txt", b"(idle)", b"(active)"),
        ("py-spy/python-3.12.txt", b".py:", b".py:9"),
        ("faulthandler/python-3.12.txt", b"0x0000", b"0x0001"),
        ("faulthandler/python-3.12.txt", b" line 1", b" line 2"),
        (TIMED, b"2026-", b"2027-"),
        (TIMED, b" tid=0x0000", b" tid=0x0001"),
    ],
)
def test_what_has_moved_is_no_duplicate(name: str, before: bytes, after: bytes) -> None:
    raw = goldens.content(name)
    assert before in raw
    assert duplicates(raw, raw.replace(before, after, 1)) == [None, None]


def test_equal_dumps_of_two_replicas_are_two_dumps() -> None:
    raw = goldens.content(UNTIMED[0])
    one, two = (prefixed(b"[pod/orders-%d/orders] " % n)(raw) for n in (1, 2))
    assert duplicates(one, two, raw, two) == [None, None, "d1", "d2"]


def test_reports_say_what_equal_dumps_without_a_time_may_mean() -> None:
    timed, untimed = goldens.content(TIMED), goldens.content(UNTIMED[0])
    report = report_on(timed, timed, untimed, untimed)
    out = io.StringIO()
    terminal.write(report, out, width=100, color=False, top=3)
    text = " ".join(out.getvalue().split())
    assert "same dump as d1" in text
    assert "identical to d3" in text
    report = report_on(untimed, untimed)
    said = "Identical to d1, and the format prints no time: the same dump given twice, or nothing has moved. If it "
    said += "was taken seconds later, what waits in d1 is stuck."
    for write in (lambda out: terminal.write(report, out, width=100, color=False, top=3),
                  lambda out: markdown.write(report, out, top=3)):  # fmt: skip
        out = io.StringIO()
        write(out)
        assert said in " ".join(out.getvalue().split())
    out = io.StringIO()
    json.write(report, out)
    assert '"duplicate_of": "d1"' in out.getvalue()
