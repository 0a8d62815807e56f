"""A good and a bad moment: of one process by its threads, of others by the places their threads are blocked in."""

from __future__ import annotations

import copy
import io
import json
import unicodedata
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dumps
from dumps import blocked, dump, lock, thread
from threaddump import cli
from threaddump.analysis import facts_of, report_of
from threaddump.classify import Classifier
from threaddump.reports import difference as reports
from threaddump.reports.text import cells, plain
from threaddump.series.difference import Difference, difference
from threaddump.series.snapshots import snapshot
from threaddump_parsers.model import Dump, Thread

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
QUIET = FIXTURES / "healthy" / "search.jstack.txt"
STUCK = FIXTURES / "black-friday" / "orders.jstack.txt"
SERIES = [FIXTURES / "hotspot" / f"series-{number}-of-3.txt" for number in (1, 3)]
VALIDATOR = jsonschema.Draft202012Validator(
    json.loads(resources.files("threaddump.reports").joinpath("diff.schema.json").read_text("utf-8"))
)
CALL = "com.shop.Gateway.slotFor"


def of(before: Sequence[Dump], after: Sequence[Dump]) -> Difference:
    classifier = Classifier("jvm")
    sides = []
    for side in (before, after):
        entries = []
        for number, made in enumerate(side):
            facts = facts_of(made, classifier)
            entries.append((report_of(facts, f"{number}.txt"), snapshot(facts)))
        sides.append(entries)
    return difference(*sides)


def calls(numbers: range, caller: str = CALL) -> list[Thread]:
    frames = (*dumps.SOCKET_READ, caller, *dumps.SERVLET)
    return [thread(f"exec-{n}", *frames, state="RUNNABLE", java_id=n) for n in numbers]


def idle(numbers: range) -> list[Thread]:
    return [thread(f"exec-{n}", *dumps.IDLE, state="WAITING", java_id=n) for n in numbers]


def moment(*threads: Sequence[Thread], pid: int = 7) -> Dump:
    return dump([copy.copy(each) for part in threads for each in part], pid=pid)


def text(found: Difference, width: int = 80) -> str:
    return "\n".join(map(plain, reports.lines(found, width, 10)))


def changes(found: Difference) -> dict[str | None, tuple[float, float]]:
    return {place.caller: (place.before, place.after) for place in found.places}


def test_threads_of_one_process_are_followed() -> None:
    found = of([moment(calls(range(1, 3)), idle(range(3, 30)))], [moment(calls(range(1, 26)), idle(range(28, 33)))])
    assert found.same_processes == 1
    assert changes(found) == {CALL: (2, 25)}
    (crew,) = found.crews
    assert (crew.name, crew.before, crew.after, crew.appeared, crew.gone) == ("exec-", 29, 30, 3, 2)
    moves = {(m.before and m.before.kind, m.after and m.after.kind): m.threads for m in found.moves}
    assert moves == {("idle", "external-call"): 23, ("idle", None): 2, (None, "idle"): 3}
    assert {finding.id for finding in found.new_findings} >= {"hot-external-call"}
    assert found.gone_findings == []
    assert "23  idle, now external call Gateway.slotFor" in text(found)


def test_names_that_come_back_with_other_threads_are_told() -> None:
    found = of([moment(idle(range(1, 11)))], [moment(idle(range(1, 6)), idle(range(21, 26)))])
    (crew,) = found.crews
    assert (crew.before, crew.after, crew.appeared, crew.gone) == (10, 10, 5, 5)
    assert "Nothing differs." not in text(found)


def test_other_processes_are_compared_by_place() -> None:
    found = of([moment(idle(range(20)), pid=7)], [moment(calls(range(20)), pid=8)])
    assert (found.same_processes, found.moves) == (0, [])
    assert changes(found) == {CALL: (0, 20)}
    assert "no process is in both" in " ".join(found.notes)
    assert "New: 20 threads in external call Gateway.slotFor, where nobody was before." in text(found)


def test_sets_of_different_sizes_are_compared_by_process() -> None:
    before = [moment(calls(range(4)), pid=pid) for pid in (1, 2)]
    found = of(before, [moment(calls(range(4)), pid=pid) for pid in (3, 4, 5, 6)])
    assert found.places == []
    assert (found.before.processes, found.after.processes, found.after.threads) == (2, 4, 4.0)
    assert "average process" in found.notes[0]


def test_of_each_process_the_last_dump_counts() -> None:
    found = of([moment(calls(range(9))), moment(calls(range(2)))], [moment(calls(range(5))), moment(calls(range(3)))])
    assert changes(found) == {CALL: (2, 3)}
    assert (found.before.given, list(found.before.dumps), found.before.processes) == (2, ["b2"], 1)


def test_locks_are_told_by_their_class_and_chains_by_their_root() -> None:
    def queue(waiters: int, id: str) -> list[Thread]:
        held = lock(id, "com.shop.Calendar")
        owner = thread("owner", *dumps.SLEEP, "com.shop.Feed.pause", *dumps.WORKER, holds=[held], java_id=1)
        return [owner, *(blocked(f"w-{n}", held, java_id=2 + n) for n in range(waiters))]

    found = of([moment(queue(1, "0xa"), pid=7)], [moment(queue(12, "0xb"), pid=8)])
    (wanted,) = found.locks
    assert (wanted.class_name, wanted.before, wanted.after, wanted.owners) == ("com.shop.Calendar", 1, 12, ["owner"])
    (chain,) = found.chains
    assert (chain.kind, chain.caller, chain.before, chain.after) == ("sleep", "com.shop.Feed.pause", 1, 12)


def test_findings_are_the_same_whatever_their_counts_and_worse_when_worse() -> None:
    few, many = moment(calls(range(20)), idle(range(20, 80))), moment(calls(range(70)), idle(range(70, 80)))
    found = of([few], [many])
    assert [finding.id for finding in found.worse_findings] == ["hot-external-call"]
    assert "hot-external-call" not in {finding.id for finding in (*found.new_findings, *found.gone_findings)}
    back = of([many], [few])
    assert (back.new_findings, back.worse_findings) == ([], [])
    assert "hot-external-call" not in {finding.id for finding in back.gone_findings}


def test_the_same_moment_has_no_difference() -> None:
    found = of([moment(calls(range(20)))], [moment(calls(range(20)))])
    assert (found.places, found.crews, found.moves, found.new_findings, found.gone_findings) == ([], [], [], [], [])
    assert text(found).endswith("Nothing differs.")


ANY = st.text(st.characters(exclude_categories=()), max_size=60)


@settings(max_examples=60)
@given(ANY, ANY, st.sampled_from([40, 80, 160]))
def test_hostile_names_are_harmless(name: str, where: str, width: int) -> None:
    held = lock(f"0x{name}", f"com.{where}")
    made = [
        *calls(range(15), f"com.shop.{where}"),
        thread(f"{name}1", *dumps.SLEEP, f"com.{where}", holds=[held]),
        *(blocked(f"{name}{n}", held) for n in range(2, 8)),
    ]
    found = of([moment(idle(range(3)))], [moment(made)])
    written = io.StringIO()
    reports.write_markdown(found, written, top=10)
    for shown in (text(found, width), written.getvalue()):
        assert not [char for char in shown if char != "\n" and unicodedata.category(char)[0] == "C"]
    assert not [line for line in text(found, width).splitlines() if cells(line) > width]
    written = io.StringIO()
    reports.write_json(found, written)
    VALIDATOR.validate(json.loads(written.getvalue()))
    written.getvalue().encode("utf-8")


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["threaddump", "diff", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((QUIET, STUCK), 0),
        ((QUIET, STUCK, "--fail-on", "critical"), 1),
        ((STUCK, QUIET, "--fail-on", "info"), 0),
        ((STUCK, STUCK, "--fail-on", "info"), 0),
        ((*SERIES, "--fail-on", "critical"), 0),
        ((QUIET, FIXTURES / "PROVENANCE.tsv"), 2),
        ((FIXTURES / "missing.txt", STUCK), 2),
    ],
)
def test_exit_codes(
    arguments: tuple[Any, ...], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    got, out, err = run(monkeypatch, capsys, *arguments)
    assert got == code
    assert bool(out) is (code != 2)
    assert ("try:" in err) is (code == 2)


def test_forms_of_a_real_difference(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(monkeypatch, capsys, QUIET, STUCK)
    assert "New: 450 threads in external call SchedulingGateway.requestSlot" in " ".join(out.split())
    assert "orders-exec-" in out
    assert not [line for line in out.splitlines() if cells(line) > 80]
    _, out, _ = run(monkeypatch, capsys, QUIET, STUCK, "-f", "markdown")
    assert out.startswith("# Thread dumps compared\n\n**New: 450 threads in external call ")
    _, out, _ = run(monkeypatch, capsys, *SERIES, "-f", "json")
    made = json.loads(out)
    VALIDATOR.validate(made)
    assert made["same_processes"] == 1
    assert {"name": "ephemeral-", "before": 0, "after": 1, "appeared": 1, "gone": 0} in made["crews"]
    assert (made["moves"][0]["threads"], made["moves"][0]["after"]["caller"]) == (4, "com.shop.lab.Cases.sleep")
