"""Summaries: whatever the split and the order, the merged parts are the whole, byte for byte; and what they say."""

from __future__ import annotations

import copy
import io
import json
import random
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import reports_factory as factory
from threaddump import parts
from threaddump.report import DumpReport, Endpoint
from threaddump.sources import InputError, Source
from threaddump.summary import FAILURES_KEPT, STUCK_KEPT, TEXT_KEPT, Fleet, Summary, cut

SCHEMA = json.loads(resources.files("threaddump.reports").joinpath("summary.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
MADE = [factory.orders, factory.front, factory.scheduling, factory.deadlock, factory.healthy, factory.hostile]


def written(summary: Summary) -> str:
    out = io.StringIO()
    parts.write(summary, out)
    return out.getvalue()


def read_back(text: str, folder: Path) -> Summary:
    path = folder / "part.json"
    path.write_text(text, "utf-8", newline="\n")
    return parts.read(Source(str(path), path))


def summary_of(*dumps: DumpReport) -> Summary:
    summary = Summary()
    for dump in dumps:
        summary.inputs += 1
        summary.record(dump, (dump.source, dump.taken_at))
    return summary


def on(instance: str | None, time: str | None = "2026-11-22T20:31:57", **changes: Any) -> DumpReport:
    """The dump of one instance of order management."""
    source = changes.pop("source", f"{instance}.txt")
    return factory.orders(instance=instance, taken_at=time, source=source, **changes)


# Small pools, so that much is equal: contents, names, times, sources, reasons.
DUMPS = st.builds(
    lambda make, content, **changes: (make(**changes), content),
    st.sampled_from([each for each in MADE if each is not factory.hostile]),
    st.integers(0, 9),
    source=st.sampled_from(["a.txt", "b.txt", "c.txt"]),
    member=st.sampled_from([None, "m.txt"]),
    line=st.integers(1, 3),
    service=st.sampled_from([None, "orders"]),
    instance=st.sampled_from([None, "orders-1", "orders-2"]),
    host=st.sampled_from([None, "h"]),
    pid=st.sampled_from([None, 7]),
    taken_at=st.sampled_from([None, "2026-11-22T20:31:57", "2026-11-22T20:31:57+01:00", "later"]),
)
FAILURES = st.tuples(st.sampled_from(["a", "b", "é"]), st.sampled_from(["it is empty", "no dump"]), st.just("hint"))


def part_of(recorded: list[Any]) -> Summary:
    summary = Summary()
    for each in recorded:
        summary.inputs += 1
        if len(each) == 2:
            dump, content = each
            summary.record(copy.deepcopy(dump), (content,))
        else:
            source, reason, hint = each
            summary.fail(source, f"{source}: {reason}", hint)
    return summary


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(DUMPS, DUMPS, FAILURES), max_size=14), st.integers(1, 6), st.randoms(use_true_random=False))
def test_merged_parts_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, recorded: list[Any], count: int, chance: random.Random
) -> None:
    whole = written(part_of(recorded))
    shuffled = chance.sample(recorded, len(recorded))
    pieces: list[list[Any]] = [[] for _ in range(count)]
    for each in shuffled:
        pieces[chance.randrange(count)].append(each)
    merged = [part_of(piece) for piece in pieces]
    folder = tmp_path_factory.mktemp("parts", numbered=True)
    merged = [read_back(written(part), folder) if chance.random() < 0.5 else part for part in merged]
    while len(merged) > 1:
        one = merged.pop(chance.randrange(len(merged)))
        other = merged.pop(chance.randrange(len(merged)))
        merged.append(Summary.merge(one, other))
    assert written(merged[0]) == whole
    VALIDATOR.validate(json.loads(whole))


def test_the_caps_do_not_depend_on_the_split() -> None:
    """More failures, reasons and signatures than are kept: still the same in any order."""
    recorded: list[Any] = [(f"f{number:04}", f"reason {number}", "") for number in range(3 * FAILURES_KEPT)]
    for number in range(4):
        dump = factory.orders(source=f"{number}.txt")
        dump.groups = [
            factory.group(f"g{n}", "external-call", f"com.shop.Call{n % 90}.go{number}", ["t"] * (n % 7 + 1))
            for n in range(STUCK_KEPT + 40)
        ]
        recorded.append((dump, number))
    whole = written(part_of(recorded))
    chance = random.Random(4)
    for _ in range(5):
        chance.shuffle(recorded)
        at = chance.randrange(len(recorded))
        assert written(Summary.merge(part_of(recorded[at:]), part_of(recorded[:at]))) == whole
    said = json.loads(whole)
    assert said["failed"] == 3 * FAILURES_KEPT
    assert [each["source"] for each in said["failures"]] == [f"f{number:04}" for number in range(FAILURES_KEPT)]
    assert said["unlisted"]["dumps"] == 4
    kept = sum(each["threads"]["total"] for each in said["signatures"])
    assert kept + said["unlisted"]["threads"] == 4 * sum(n % 7 + 1 for n in range(STUCK_KEPT + 40))


def test_merging_changes_neither_part() -> None:
    one, other = summary_of(on("orders-1")), summary_of(on("orders-2"))
    before = written(one), written(other)
    Summary.merge(one, other)
    assert (written(one), written(other)) == before


# --- what it says


def test_a_signature_over_instances_and_time() -> None:
    dumps = [on(f"orders-{n}", f"2026-11-22T20:31:{n:02}") for n in range(1, 8)]
    fleet = Fleet(summary_of(*dumps, factory.healthy(instance="search-1", source="s.txt")))
    call, *_ = fleet.signatures
    assert (call.signature.kind, call.signature.caller, call.severity) == (
        "external-call",
        factory.SLOT_FOR,
        "critical",
    )
    assert (call.spread.instances, call.spread.dumps, fleet.instances) == (7, 7, 8)
    assert (call.spread.threads, call.spread.most, call.spread.median) == (7 * 450, 450, 450)
    assert call.spread.first is not None
    assert call.spread.last is not None
    assert (call.spread.first.instance, call.spread.first.taken_at) == ("orders-1", "2026-11-22T20:31:01")
    assert call.spread.last.instance == "orders-7"
    assert [place.source for place in call.spread.examples] == ["orders-1.txt", "orders-2.txt", "orders-3.txt"]
    assert call.spread.examples[0].line == dumps[0].groups[0].lines[0]
    assert fleet.threads_by_kind["external-call"] == 7 * 450


def test_several_dumps_of_one_instance_are_one_instance() -> None:
    fleet = Fleet(summary_of(*(on("orders-1", f"2026-11-22T20:31:{n}") for n in range(10, 13))))
    assert (len(fleet.dumps), fleet.instances, fleet.signatures[0].spread.instances) == (3, 1, 1)


@pytest.mark.parametrize(
    ("one", "other", "instances"),
    [
        ({"host": "a", "pid": 7}, {"host": "b", "pid": 7}, 2),
        ({"host": "a", "pid": 7}, {"host": "a", "pid": 8}, 2),
        ({"host": "a", "pid": 7}, {"host": "a", "pid": 7}, 1),
        ({"pid": 7}, {"pid": 7}, 2),  # as in every container: two files are two instances
        ({"pid": 7, "source": "one.log"}, {"pid": 7, "source": "one.log"}, 1),
        ({"pid": 7, "source": "one.log"}, {"pid": 8, "source": "one.log"}, 2),
        ({"pid": 7, "source": "one.zip", "member": "a"}, {"pid": 7, "source": "one.zip", "member": "b"}, 2),
    ],
)
def test_what_an_instance_is(one: dict[str, Any], other: dict[str, Any], instances: int) -> None:
    nobody = {"service": None, "host": None}
    first = on(None, "2026-11-22T20:31:57", **{**nobody, "source": "a.txt", **one})
    second = on(None, "2026-11-22T20:31:58", **{**nobody, "source": "b.txt", **other})
    assert Fleet(summary_of(first, second)).instances == instances


def test_a_dump_given_again_counts_once_whichever_part_it_came_in() -> None:
    once, again = summary_of(on("orders-1")), summary_of(on("orders-1"), on("orders-2"))
    fleet = Fleet(Summary.merge(once, again))
    assert (len(fleet.dumps), fleet.duplicates, fleet.signatures[0].spread.threads) == (2, 1, 900)


def test_equal_content_of_two_replicas_is_two_dumps_and_a_copy_without_a_name_is_none() -> None:
    summary = Summary()
    for instance in ("orders-1", "orders-2", None):
        summary.record(on(instance, service=None, host=None), ("equal",))
    fleet = Fleet(summary)
    assert [seen.instance for seen in fleet.dumps] == ["orders-1", "orders-2"]
    assert fleet.duplicates == 1


def test_idle_and_running_threads_are_counted_and_make_no_signature() -> None:
    fleet = Fleet(summary_of(factory.healthy()))
    assert not [each for each in fleet.signatures if each.signature.kind in {"idle", "runtime", "running", "sleep"}]
    assert fleet.threads_by_kind["idle"]


def test_a_running_thread_that_a_finding_is_about_makes_one() -> None:
    dump = factory.healthy()
    dump.groups.append(factory.group("g77", "running", "com.shop.Loop.spin", ["t"]))
    dump.findings.append(factory.finding("high", "spins", group="g77"))
    assert [each.signature.caller for each in Fleet(summary_of(dump)).signatures] == ["com.shop.Loop.spin"]


def test_peers_of_a_signature_add_up() -> None:
    dumps = [on("orders-1"), on("orders-2")]
    for dump, peers in zip(
        dumps, [[("10.0.0.7:7001", 440), ("10.0.0.8:7001", 10)], [("10.0.0.7:7001", 450)]], strict=True
    ):
        dump.groups[0].endpoints = [Endpoint(address, n, None, n, None, {}) for address, n in peers]
    assert Fleet(summary_of(*dumps)).signatures[0].peers == [("10.0.0.7:7001", 890), ("10.0.0.8:7001", 10)]


def test_the_finding_with_the_most_threads_speaks() -> None:
    small, big = on("orders-1"), on("orders-2")
    small.findings[0].threads, small.findings[0].title = 20, "20 threads"
    big.findings[0].threads, big.findings[0].title = 400, "400 threads"
    (found,) = [each for each in Fleet(summary_of(small, big)).findings if each.id == big.findings[0].id]
    assert found.example is not None
    assert (found.example.title, found.spread.dumps, found.spread.threads) == ("400 threads", 2, 420)


def test_clocks_with_zones_are_compared_as_times() -> None:
    fleet = Fleet(summary_of(on("late", "2026-11-22T20:31:57+00:00"), on("early", "2026-11-22T21:31:50+01:00")))
    first = fleet.signatures[0].spread.first
    assert first is not None
    assert first.instance == "early"


# --- texts


def test_long_texts_are_cut_and_stay_different() -> None:
    one, other = cut("x" * 5000 + "a"), cut("x" * 5000 + "b")
    assert len(one) <= TEXT_KEPT
    assert one != other
    assert cut("short") == "short"


@given(st.text(st.characters(exclude_categories=())))
def test_any_name_survives_writing_and_reading(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    summary = summary_of(factory.hostile(text), on(text or None))
    whole = written(summary)
    whole.encode("utf-8")
    VALIDATOR.validate(json.loads(whole))
    assert written(read_back(whole, tmp_path_factory.mktemp("any", numbered=True))) == whole


# --- files


def test_an_empty_summary_is_one(tmp_path: Path) -> None:
    whole = written(Summary())
    VALIDATOR.validate(json.loads(whole))
    assert written(read_back(whole, tmp_path)) == whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this is no JSON"),
        ('{"schema": "threaddump/report@1"}', "this is a threaddump/report@1, not a threaddump/summary@1"),
        ("[1]", "this is some other JSON"),
        ('{"schema": "threaddump/summary@1"}', "that was changed"),
    ],
)
def test_what_is_no_summary_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_back(text, tmp_path)


def test_a_summary_with_wrong_values_is_refused_and_never_crashes(tmp_path: Path) -> None:
    """Every value of a row in turn replaced by one of another type."""
    good = json.loads(written(summary_of(on("orders-1"))))
    refused = 0
    for name in ("signatures", "examples", "dumps"):
        for column in range(len(good["merge"][name][0])):
            for wrong in ({"a": 1}, [[]], -5.5, True):
                bad = copy.deepcopy(good)
                bad["merge"][name][0][column] = wrong
                try:
                    written(read_back(json.dumps(bad), tmp_path))
                except InputError:
                    refused += 1
    assert refused > 100
