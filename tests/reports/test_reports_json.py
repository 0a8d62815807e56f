"""The JSON report: it fits its schema, reads back as written, and is valid whatever the names hold."""

from __future__ import annotations

import io
import json
from importlib import resources
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import reports_factory as factory
from threaddump.report import Report, WaitNode
from threaddump.reports import json as json_report

REPORTS = {
    "empty": Report(),
    "story": factory.story(),
    "deadlock": Report([factory.deadlock()]),
    "healthy": Report([factory.healthy()]),
    "hostile": Report([factory.hostile()]),
    "many": factory.many(),
}
SCHEMA = json.loads(resources.files("threaddump.reports").joinpath("report.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def written(report: Report) -> str:
    out = io.StringIO()
    json_report.write(report, out)
    return out.getvalue()


def read_back(report: Report) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(written(report))
    return value


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", REPORTS)
def test_fits_the_schema(name: str) -> None:
    VALIDATOR.validate(read_back(REPORTS[name]))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "threaddump/report@2"),
        (("dumps", 0, "format"), "Not an id"),
        (("dumps", 0, "threads", "by_kind"), {"busy": 1}),
        (("groups", 0, "kind"), "busy"),
        (("groups", 0, "timed"), "no"),
        (("findings", 0, "severity"), "terrible"),
        (("chains", 0, "evidence"), "guessed"),
        (("chains", 0, "tree", "children", 0, "kind"), "busy"),
        (("locks", 0, "type"), "spin"),
        (("locks", 0, "waiters"), -1),
    ],
)
def test_the_schema_is_strict(path: tuple[Any, ...], value: object) -> None:
    report = read_back(factory.story())
    place: Any = report
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not VALIDATOR.is_valid(report)


@pytest.mark.parametrize(
    "path",
    [
        "schema", "version", "dumps", "groups", "locks", "chains", "deadlocks", "findings", "series", "tiers",
        "dumps.0.runtime", "dumps.0.taken_at", "dumps.0.duplicate_of", "dumps.0.problems", "groups.0.endpoints",
        "groups.0.stack", "locks.0.owner", "chains.0.tree", "chains.0.root", "findings.0.dump", "findings.0.recovery",
    ],
)  # fmt: skip
def test_the_schema_requires_every_field(path: str) -> None:
    report = read_back(factory.story())
    place: Any = report
    *parents, last = path.split(".")
    for step in parents:
        place = place[int(step)] if step.isdigit() else place[step]
    del place[last]
    assert not VALIDATOR.is_valid(report)


def test_says_what_the_report_says() -> None:
    report = read_back(Report([factory.orders()]))
    (dump,) = report["dumps"]
    assert dump["threads"]["by_kind"] == {"external-call": 450, "pool-wait": 50, "idle": 11, "runtime": 14}
    group = report["groups"][0]
    assert (group["dump"], group["kind"], group["count"], group["timed"]) == ("d1", "external-call", 450, False)
    assert group["integration"] == {"id": "jvm.apache-httpclient-4", "name": "Apache HttpClient 4", "system": "http"}
    (chain,) = report["chains"]
    assert chain["waiting"] == 50
    assert chain["tree"]["count"] == 450
    assert [node["count"] for node in chain["tree"]["children"]] == [50]
    assert report["findings"][0]["dump"] == "d1"
    assert report["series"] == report["tiers"] == []


def test_lists_are_sorted_worst_first_over_all_dumps() -> None:
    report = read_back(Report([factory.healthy(id="d1"), factory.scheduling(id="d2"), factory.orders(id="d3")]))
    assert [finding["severity"] for finding in report["findings"]] == ["critical", "high", "info"]
    assert [group["count"] for group in report["groups"]][:3] == [450, 50, 24]
    assert [group["kind"] for group in report["groups"]][-2:] == ["idle", "idle"]
    assert [chain["waiting"] for chain in report["chains"]] == [50, 25]
    assert {finding["dump"] for finding in report["findings"]} == {"d2", "d3"}


def test_one_line_per_element() -> None:
    lines = written(factory.many()).splitlines()
    assert sum(line.startswith('{"id": "d') and '"runtime"' in line for line in lines) == 6


@given(st.text(st.characters(exclude_categories=())))
def test_any_name_gives_valid_utf8_json(text: str) -> None:
    output = written(Report([factory.hostile(text)]))
    output.encode("utf-8")
    report = json.loads(output)
    VALIDATOR.validate(report)
    expected = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    assert report["groups"][0]["threads"][0] == expected


def test_names_cannot_steer_a_terminal() -> None:
    output = written(Report([factory.hostile("\x9b2J\x1b[0m\x7f\u202e\u2066")]))
    assert not set(output) & set("\x9b\x1b\x7f\u202e\u2066")


def test_an_output_that_is_not_utf8_gets_escapes() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    json_report.write(Report([factory.hostile("Zoë 🐍 \ud800")]), out)
    out.flush()
    assert json.loads(raw.getvalue())["dumps"][0]["source"] == "Zoë 🐍 \ufffd"


def test_a_number_that_json_lacks_is_null() -> None:
    dump = factory.healthy()
    dump.groups[0].cpu_ms = float("nan")
    assert read_back(Report([dump]))["groups"][1]["cpu_ms"] is None


def test_a_very_deep_tree_is_cut_and_counted() -> None:
    dump = factory.orders()
    leaf = dump.chains[0].tree[0]
    for number in range(5000):
        child = WaitNode("g2", "lock-wait", None, 1, [f"t{number}"], None, None, "reported", None)
        leaf.children.append(child)
        leaf = child
    report = read_back(Report([dump]))
    VALIDATOR.validate(report)
    node, depth = report["chains"][0]["tree"], 0
    while node["children"]:
        node, depth = node["children"][0], depth + 1
    assert node["omitted"] + depth - 1 == 5000
