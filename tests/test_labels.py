"""Threads labelled by hand: how often the tool gives a thread the kind and library that a reader of its stack gives.

``labels/lab.tsv`` is a stratified random sample of threads in recorded dumps: every program, both runtimes, all ways of
dumping, at most three threads of one stack. The labels come from the stack and from what the program is known to do,
never from this tool. Three rules of labelling:

* ``unknown`` is a label too: a C call at an application line whose kind no frame shows. Where two labels are as good,
  they are joined by ``or``.
* A main thread that does nothing but join the workers it started is idle; any other join is a wait for another thread.
* A pool of the application has the name of its class. Locks, queues and timers of the runtime are no library.

``fixtures/`` is part of this repository. ``lab/`` is not (see test_lab.py); its labels are left out where it is absent.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from threaddump.analysis import analyze
from threaddump.report import Group
from threaddump.sources import InputError, Source

ROOT = Path(__file__).resolve().parents[1]
LAB = Path(os.environ.get("THREADDUMP_LAB") or ROOT.parent / "shared" / "lab")
LABELS = Path(__file__).parent / "labels" / "lab.tsv"

OWN = frozenset({"juc", "jvm", "py-threading", "py-mp", "py-runtime", "py-native"})
"""The runtime's own locks, queues and timers: in the labels they are no library."""

Label = dict[str, str]


def labels() -> list[Label]:
    with LABELS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def place(file: str) -> Path:
    folder, _, rest = file.partition("/")
    return {"fixtures": ROOT / "fixtures", "lab": LAB}[folder] / rest


ALL = labels()
HERE = [label for label in ALL if place(label["file"]).is_file()]


@cache
def threads(file: str) -> dict[int, tuple[str, Group]]:
    """Line of a thread's header to its name and group."""
    errors: list[InputError] = []
    report = analyze([Source(file, place(file))], lambda _, error: errors.append(error))
    assert not errors, errors
    return {
        line: (name, group)
        for dump in report.dumps
        for group in dump.groups
        for name, line in zip(group.threads, group.lines, strict=True)
    }


def said(label: Label) -> dict[str, str]:
    """What the tool says about a labelled thread, in the words of the labels."""
    name, group = threads(label["file"])[int(label["line"])]
    # Without a name in the dump, a thread is called by its id.
    assert label["thread"] in {name, ""}, f"{label['file']}:{label['line']} is the thread {name!r}"
    used = group.integration or group.pool
    return {
        "kind": group.kind,
        "integration": used.id if used and used.id not in OWN else "",
        "caller": (group.caller or "").rpartition("/")[2],
    }


def wrong(field: str) -> list[str]:
    return [
        f"{label['file']}:{label['line']} {label['thread'][:40]}: {answer} instead of {label[field] or 'none'}"
        f" ({label['why']})"
        for label in HERE
        if (answer := said(label)[field]) not in label[field].split(" or ")
    ]


def precision(field: str) -> tuple[float, str]:
    found = wrong(field)
    share = 1 - len(found) / len(HERE)
    text = f"{field}: {len(HERE) - len(found)} of {len(HERE)} threads right, {share:.1%}"
    print(text)
    return share, "\n".join([text, *found])


def test_the_sample_is_what_it_should_be() -> None:
    assert len(ALL) == 403
    assert len({(label["file"], label["line"]) for label in ALL}) == 403
    assert sum(label["file"].startswith("fixtures/") for label in ALL) >= 300
    assert len({label["file"] for label in ALL if "/healthy/" in label["file"]}) >= 5
    assert len({label["file"] for label in ALL if "/black-friday/" in label["file"]}) >= 10
    kinds = Counter(label["kind"] for label in ALL)
    assert min(kinds[kind] for kind in ("external-call", "pool-wait", "lock-wait", "sync-wait", "idle", "runtime")) > 15


def test_all_fixtures_of_the_sample_are_there() -> None:
    absent = {label["file"] for label in ALL} - {label["file"] for label in HERE}
    assert [file for file in absent if file.startswith("fixtures/")] == []
    if (LAB / "jvm").is_dir():
        assert absent == set()


def test_precision_of_the_kind() -> None:
    share, text = precision("kind")
    assert share >= 0.98, text


def test_precision_of_the_integration() -> None:
    share, text = precision("integration")
    assert share >= 0.95, text


def test_precision_of_the_caller() -> None:
    """Only where an application frame is on the stack: elsewhere a library's frame stands in."""
    found = [text for text in wrong("caller") if " instead of none " not in text]
    print(f"caller: {len(HERE) - len(found)} of {len(HERE)} threads right")
    assert len(found) <= 0.02 * len(HERE), "\n".join(found)


@pytest.mark.parametrize("kind", sorted({label["kind"].partition(" or ")[0] for label in ALL}))
def test_no_kind_is_hidden_by_the_average(kind: str) -> None:
    """A kind with few threads may be wrong throughout without moving the average."""
    few = [label for label in HERE if label["kind"].partition(" or ")[0] == kind]
    right = sum(said(label)["kind"] in label["kind"].split(" or ") for label in few)
    assert right >= 0.75 * len(few), f"{kind}: {right} of {len(few)} threads right"
