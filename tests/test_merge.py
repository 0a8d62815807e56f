"""The text and the file of one JVM at one moment are read as one dump."""

from __future__ import annotations

import json
import os
import re
from itertools import permutations
from pathlib import Path

import pytest

import goldens
from threaddump import analysis, merge
from threaddump.report import DumpReport, Report
from threaddump.reports import words
from threaddump.sources import InputError, Source

LAB = Path(os.environ.get("THREADDUMP_LAB") or goldens.ROOT.parent / "shared" / "lab") / "jvm"
TEXT = goldens.content("hotspot/locks-of-both-kinds.txt")
FILE = goldens.content("jcmd-json/locks-of-both-kinds.json")
PLAIN = goldens.content("jcmd-plain/locks-of-both-kinds.txt")
SCOPES = goldens.content("hotspot/task-scopes.txt"), goldens.content("jcmd-json/task-scopes.json")


def report(*contents: bytes) -> Report:
    def fail(_: Source, error: InputError) -> None:
        raise error

    return analysis.analyze([goldens.source(content, f"{n}.txt") for n, content in enumerate(contents)], fail)


def one(*contents: bytes) -> DumpReport:
    (dump,) = report(*contents).dumps
    return dump


def owners(dump: DumpReport) -> list[tuple[str, str | None, int]]:
    return sorted(
        (lock.class_name.rpartition(".")[2], lock.owner and lock.owner.thread, len(lock.waiting)) for lock in dump.locks
    )


@pytest.mark.parametrize("file", [FILE, PLAIN], ids=["json", "plain"])
@pytest.mark.parametrize("reverse", [False, True], ids=["text first", "file first"])
def test_threads_of_both_kinds_wait_for_the_same_locks(file: bytes, reverse: bool) -> None:
    """Neither half shows who all the waiters of the lock are, and that its owner is known."""
    dump = one(file, TEXT) if reverse else one(TEXT, file)
    assert (dump.id, dump.format, dump.pid, dump.total, dump.virtual) == ("d1", "hotspot", 25556, 25, 6)
    assert owners(dump) == [("Object", "keeper", 4), ("ReentrantLock$NonfairSync", "keeper", 4)]
    (chain,) = dump.chains
    assert (chain.root.threads, chain.waiting, chain.evidence) == (["keeper"], 8, "reported")
    assert dump.deadlocks == []


def test_what_came_from_which_is_told() -> None:
    dump = one(TEXT, FILE)
    assert [(part.source, part.line, part.format, part.threads, part.virtual) for part in dump.merged] == [
        ("0.txt", 1, "hotspot", 19, 0),
        ("1.txt", 1, "jcmd-json", 6, 6),
    ]
    assert words.merged_words(dump) == (
        "Two dumps of one moment, read as one: states and locks of the text, and 6 virtual threads of 1.txt: their "
        "line numbers are of that file."
    )
    assert goldens.report_on(TEXT).dumps[0].merged == []


def test_each_line_is_of_its_own_source() -> None:
    dump = one(TEXT, FILE)
    contents = {None: TEXT.splitlines(), "1.txt": FILE.splitlines()}
    places = [place for finding in dump.findings for place in finding.evidence]
    assert {place.source for place in places} == {None} or places
    for group in dump.groups:
        for name, line in zip(group.threads, group.lines, strict=True):
            source = "1.txt" if name.startswith("virtual-") else None
            near = b"\n".join(contents[source][line - 1 : line + 5])
            assert name.encode() in near, (name, line)


def test_evidence_names_the_other_source() -> None:
    """Of the threads behind the owner the first cited ones are the text's; without these they are the file's."""
    dump = one(TEXT.replace(b"platform-", b"platform_"), FILE.replace(b"platform-", b"platform_"))
    cited = {(place.thread, place.source) for finding in dump.findings for place in finding.evidence}
    assert ("keeper", None) in cited
    assert all(source == ("1.txt" if name and name.startswith("virtual") else None) for name, source in cited)


@pytest.mark.parametrize("content", [TEXT + b"\n" + FILE, FILE + b"\n" + TEXT, TEXT + PLAIN], ids=["tf", "ft", "tp"])
def test_both_in_one_file(content: bytes) -> None:
    dump = one(content)
    assert (dump.total, dump.virtual, len(dump.merged)) == (25, 6, 2)
    assert "the dump in line" in words.merged_words(dump)
    assert all(place.source is None for finding in dump.findings for place in finding.evidence)


FACTS = b'# threaddump-os: {"schema":1,"pid":4711,"namespace_pid":25556,"host":"orders-4"}\n'


def test_facts_below_both_are_those_of_both() -> None:
    """A capture: the text does not tell its pid, the file that of its container, and the facts stand at the end."""
    text = TEXT.partition(b"\n")[2]
    assert len(report(text + b"\n" + FILE).dumps) == 2
    dump = one(text + b"\n" + FILE + b"\n" + FACTS)
    assert (dump.pid, dump.host, dump.total, len(dump.merged)) == (4711, "orders-4", 25, 2)


def test_facts_are_not_those_of_another_jvm() -> None:
    dumps = report(TEXT + b"\n" + SCOPES[1] + b"\n" + FACTS).dumps
    assert [(dump.format, dump.host) for dump in dumps] == [("hotspot", None), ("jcmd-json", "orders-4")]


def test_pairs_among_other_dumps() -> None:
    """Two JVMs, each with both forms, in every order; and a dump of neither."""
    halves = [TEXT, FILE, *SCOPES]
    other = goldens.content("hotspot/deadlock-two.txt")
    for order in permutations(halves):
        dumps = report(other, *order).dumps
        assert [dump.id for dump in dumps] == ["d1", "d2", "d3"]
        assert sorted((dump.pid or 0, dump.total, len(dump.merged)) for dump in dumps[1:]) == [
            (12718, 33, 2), (25556, 25, 2),
        ]  # fmt: skip


def test_the_scopes_of_the_file_and_the_states_of_the_text() -> None:
    dump = one(*SCOPES)
    scopes = {c.name: (c.owner, c.threads) for c in dump.containers if "StructuredTaskScope" in c.name}
    assert sorted(scopes.values()) == [("main", 3), ("request-1", 4), ("request-2", 4)]
    assert "scope-tasks-stuck" in {finding.id for finding in dump.findings}
    assert dump.by_kind["external-call"] == 11


def test_a_half_given_twice_is_a_duplicate() -> None:
    for contents in ((TEXT, FILE, TEXT), (FILE, TEXT, FILE), (TEXT, FILE, FILE)):
        first, second = report(*contents).dumps
        assert (len(first.merged), first.duplicate_of, second.duplicate_of) == (2, None, "d1")


@pytest.mark.parametrize(
    ("text", "file"),
    [
        (TEXT.replace(b"25556:\n", b"25557:\n", 1), FILE),  # another process
        (TEXT.replace(b"25556:\n", b"", 1), FILE),  # which one is not told
        (TEXT.replace(b"10:30:18", b"10:31:18", 1), FILE),  # a minute earlier
        (TEXT.replace(b"2026-11-25 10:30:18", b"2026-11-24 10:30:18", 1), FILE),  # a day earlier
        (TEXT, re.sub(rb'"name": "[^"]+"', b'"name": "x"', FILE)),  # other threads: the id was given away again
        (TEXT, TEXT),
    ],
)
def test_what_is_not_of_one_moment_stays_apart(text: bytes, file: bytes) -> None:
    assert [dump.merged for dump in report(text, file).dumps] == [[], []]


@pytest.mark.parametrize("time", ["2026-11-25 12:30:18", "2026-11-25 16:00:18", "2026-11-25 00:30:20"])
def test_the_text_has_local_time(time: str) -> None:
    assert len(one(TEXT.replace(b"2026-11-25 10:30:18", time.encode(), 1), FILE).merged) == 2


def test_threads_that_moved_tell_nothing_of_locks() -> None:
    """All of the text's threads went on between the two dumps: virtual threads may wait for another object."""
    moved = re.sub(rb"BothKinds\.java:(\d+)", rb"BothKinds.java:9\1", FILE)
    dump = one(TEXT, moved)
    monitors = [lock for lock in dump.locks if lock.class_name == "java.lang.Object"]
    assert sorted((lock.id[:2], lock.owner and lock.owner.thread, len(lock.waiting)) for lock in monitors) == [
        ("0x", "keeper", 1),
        ("ja", None, 3),
    ]


def test_an_unknown_owner_may_be_virtual() -> None:
    """With -l the text lists what platform threads own, and nothing lists what virtual ones do."""
    text = TEXT.replace(b"- <0x00000000fc0182e8>", b"- <0x00000000fc0ffff8>")
    dump = one(text, FILE)
    (lock,) = [lock for lock in dump.locks if "ReentrantLock" in lock.class_name]
    assert lock.owner is None or lock.owner.evidence == "inferred"
    assert not any("owners of" in hint for hint in dump.hints)


def test_few_halves_are_kept() -> None:
    halves = merge.Halves()
    dumps = list(goldens.report_on(TEXT).dumps)
    from threaddump import intake

    for n in range(50):
        (dump,) = intake.dumps(goldens.source(TEXT.replace(b"25556:", f"{n + 100}:".encode(), 1)))
        assert halves.offer(merge.Half(dump, "x", dumps[0])) is None
    assert len(halves._texts) == merge.HELD


@pytest.mark.skipif(not LAB.is_dir(), reason=f"no recorded dumps in {LAB} (set THREADDUMP_LAB)")
@pytest.mark.parametrize(
    ("case", "threads", "virtual"), [("vthreads-25", 3126, 3099), ("vdeadlock-25", 27, 4), ("vpin-native-25", 49, 25)]
)
@pytest.mark.parametrize("file", ["dump_to_file.json", "dump_to_file.txt"])
def test_recorded_pairs(case: str, threads: int, virtual: int, file: str) -> None:
    errors: list[InputError] = []
    paths = [LAB / case / name for name in ("jcmd-print.txt", file, "jstack-l.txt")]
    found = analysis.analyze([Source(p.name, p) for p in paths], lambda _, error: errors.append(error)).dumps
    assert not errors
    merged, other = found
    assert (merged.total, merged.virtual, len(merged.merged), other.merged) == (threads, virtual, 2, [])
    if case == "vdeadlock-25":
        assert [set(deadlock.threads) for deadlock in merged.deadlocks] == [{"vt-transfer-AB", "vt-transfer-BA"}]
    if case == "vpin-native-25":
        assert "carriers-pinned" in {finding.id for finding in merged.findings}
    alone = analysis.analyze([Source(paths[1].name, paths[1])], lambda *_: None).dumps[0]
    kinds = {kind: count for kind, count in alone.by_kind.items() if kind not in {"runtime", "idle"}}
    assert {kind: merged.by_kind.get(kind, 0) for kind in kinds} == kinds


def test_the_json_report_says_it() -> None:
    import io

    from threaddump.reports import json as json_report

    out = io.StringIO()
    json_report.write(report(TEXT, FILE), out)
    (told,) = json.loads(out.getvalue())["dumps"]
    assert [part["format"] for part in told["merged"]] == ["hotspot", "jcmd-json"]
