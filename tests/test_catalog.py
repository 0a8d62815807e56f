"""The catalog: what the loader accepts and refuses, how patterns match, and every example that an entry gives."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dumps
from threaddump import catalog
from threaddump.catalog import Globs, Prefixes, glob_test
from threaddump.catalog import compile as compiler
from threaddump.classify import Classifier
from threaddump.naming import SOURCE_LINE, naming
from threaddump_parsers.model import Frame

DATA = catalog.DATA
FAMILIES = sorted(path.name for path in DATA.iterdir() if path.is_dir() and path.name != "libraries")
GOOD: dict[str, Any] = {"id": "x.y", "kind": "io", "role": "integration", "priority": 60, "match": ["a.B.c"]}


def toml_entries(family: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in compiler.sources(DATA / family):
        for entry in tomllib.loads(path.read_text("utf-8")).get("entry", []):
            yield path, entry


ENTRIES = [(family, path.name, entry) for family in FAMILIES for path, entry in toml_entries(family)]


@pytest.fixture(scope="module")
def classifiers() -> dict[str, Classifier]:
    return {family: Classifier(family) for family in FAMILIES}


# --- validation


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": None}, "it has no id"),
        ({"id": 7}, "it has no id"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"role": None}, "role None is none of"),
        ({"role": "boss"}, "role 'boss' is none of"),
        ({"kind": "busy"}, "kind 'busy' is none of"),
        ({"kind": None}, "kind None is none of"),
        ({"role": "marker"}, "a marker entry decides nothing, so it has no kind"),
        ({"role": "transparent"}, "a transparent entry decides nothing, so it has no kind"),
        ({"timed": "often"}, "timed 'often' is none of"),
        ({"priority": "high"}, "priority is not a number"),
        ({"priority": None}, "priority is not a number"),
        ({"match": []}, "match is empty"),
        ({"match": None}, "match is empty"),
        ({"match": "a.B.c"}, "match is not a list of patterns"),
        ({"match": [""]}, "match is not a list of patterns"),
        ({"match": [1]}, "match is not a list of patterns"),
        ({"requires": "a"}, "requires is not a list of patterns"),
        ({"states": "RUNNABLE"}, "states is not a list of patterns"),
        ({"locals": [{"frame": "a"}]}, "locals is not a list of { frame, name }"),
        ({"pool_object": ["self"]}, "pool_object is not a list of { frame, name }"),
    ],
)
def test_a_bad_entry_is_refused_with_file_id_and_consequence(changes: dict[str, Any], said: str) -> None:
    entry = {key: value for key, value in (GOOD | changes).items() if value is not None}
    with pytest.raises(compiler.CatalogError) as error:
        compiler.check_entry(entry, "http.toml")
    message = str(error.value)
    assert message.startswith("http.toml: entry ")
    assert repr(entry.get("id", "(no id)")) in message
    assert said in message
    assert message.endswith("; the entry cannot be used")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"role": "marker", "kind": None},
        {"timed": "state"},
        {"locals": [{"frame": "a", "name": "b"}]},
        {"states": []},
    ],
)
def test_a_good_entry_is_accepted(changes: dict[str, Any]) -> None:
    compiler.check_entry({key: value for key, value in (GOOD | changes).items() if value is not None}, "http.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = 1\n[[entry]", "http.toml: not readable as TOML"),
        ("schema = 1\nx = '\udcff'", "http.toml: not readable as TOML"),
        ("", "http.toml: schema None is not 1; the file cannot be used"),
        ("schema = 2", "http.toml: schema 2 is not 1; the file cannot be used"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "http.toml"
    path.write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(compiler.CatalogError, match=re.escape(said)):
        compiler.read_toml(path)


def test_an_id_twice_names_both_files(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        write_family(tmp_path, name=name)
    with pytest.raises(compiler.CatalogError, match=re.escape("b.toml: entry 'x.y' stands in a.toml already")):
        compiler.compiled_family(tmp_path / "zig")


@pytest.mark.parametrize("profile", ['name = "N"', 'key = "k"', 'key = 1\nname = "N"'])
def test_a_library_without_key_or_name_is_refused(tmp_path: Path, profile: str) -> None:
    path = tmp_path / "jvm.toml"
    path.write_text(f"schema = 1\n[[library]]\n{profile}\n", "utf-8")
    with pytest.raises(compiler.CatalogError, match=r"jvm\.toml: a library profile has no key or no name"):
        compiler.compiled_libraries(path)


def write_family(data: Path, *, name: str = "rules.toml", kind: str = "io") -> None:
    (data / "zig").mkdir(exist_ok=True)
    (data / "libraries").mkdir(exist_ok=True)
    (data / "zig" / name).write_text(
        f'schema = 1\n[[entry]]\nid = "x.y"\nkind = "{kind}"\nrole = "integration"\npriority = 60\n'
        'match = ["a.B.c"]\nevidence = "made up"\nexamples = [{ frames = ["a.B.c"] }]\n',
        "utf-8",
    )
    (data / "libraries" / "zig.toml").write_text('schema = 1\n[[library]]\nkey = "k"\nname = "N"\n', "utf-8")


@pytest.fixture
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A catalog of one entry in a runtime family of its own."""
    monkeypatch.setattr(catalog, "DATA", tmp_path)
    write_family(tmp_path)
    catalog.load.cache_clear()
    catalog.libraries.cache_clear()
    yield tmp_path
    catalog.load.cache_clear()
    catalog.libraries.cache_clear()


def test_a_family_without_data_is_empty(own_data: Path) -> None:
    assert catalog.load("cobol").entries == ()
    assert catalog.libraries("cobol") == {}


def test_the_compiled_form_is_used_and_equals_the_toml(own_data: Path) -> None:
    from_toml = catalog.load("zig").by_id["x.y"]
    compiler.compile_all(own_data)
    target = own_data / "zig.json"
    assert json.loads(target.read_text("utf-8")) == compiler.compiled_family(own_data / "zig")
    # Change the compiled form alone, and the change is seen: it is what was read.
    target.write_text(target.read_text("utf-8").replace('"io"', '"sleep"'), "utf-8")
    catalog.load.cache_clear()
    assert (from_toml.kind, catalog.load("zig").by_id["x.y"].kind) == ("io", "sleep")


@pytest.mark.parametrize("stale", ["changed", "renamed", "added", "not JSON", "empty", "without a checksum"])
def test_a_stale_compiled_form_is_not_used(own_data: Path, stale: str) -> None:
    compiler.compile_all(own_data)
    target = own_data / "zig.json"
    target.write_text(target.read_text("utf-8").replace('"io"', '"sleep"'), "utf-8")
    if stale == "changed":
        write_family(own_data, kind="running")
    elif stale == "renamed":
        (own_data / "zig" / "rules.toml").rename(own_data / "zig" / "other.toml")
    elif stale == "added":
        (own_data / "zig" / "more.toml").write_text("schema = 1\n", "utf-8")
    else:
        target.write_text({"not JSON": "{", "empty": "", "without a checksum": '{"entries": []}'}[stale], "utf-8")
    assert catalog.load("zig").by_id["x.y"].kind == ("running" if stale == "changed" else "io")


def test_stale_library_profiles_are_not_used(own_data: Path) -> None:
    compiler.compile_all(own_data)
    path = own_data / "libraries" / "zig.toml"
    path.write_text(path.read_text("utf-8").replace('"N"', '"New"'), "utf-8")
    assert catalog.libraries("zig")["k"]["name"] == "New"


def test_the_real_catalog_compiles_to_the_same_rules(tmp_path: Path) -> None:
    copy = tmp_path / "data"
    shutil.copytree(DATA, copy, ignore=shutil.ignore_patterns("*.json"))
    written = compiler.compile_all(copy)
    assert {path.name for path in written} == {f"{family}.json" for family in FAMILIES}
    for family in FAMILIES:
        data = json.loads((copy / f"{family}.json").read_text("utf-8"))
        assert data == json.loads(json.dumps(compiler.compiled_family(copy / family)))
        assert [entry.id for entry in catalog.Catalog(data).entries] == [
            entry["id"] for _, entry in toml_entries(family)
        ]
        assert not {"examples", "counter_examples", "evidence"} & {key for entry in data["entries"] for key in entry}


# --- matching


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a.B.c", "a.B.c", True),
        ("a.B.c", "a.B.cd", False),
        ("a.B.*", "a.B.c", True),
        ("a.B.*", "a.B.", True),
        ("a.B.*", "a.BXc", False),
        ("*.c", "a.B.c", True),
        ("*.c", "a.B.cd", False),
        ("a.*.c", "a.x.y.c", True),
        ("a.*.c", "a.c", False),
        ("*", "", True),
        ("*", "a\nb", True),
        ("a?[x]", "a?[x]", True),
        ("a?[x]", "abx", False),
        ("a.$B*", "a.$B$1.run", True),
        ("**", "a", True),
    ],
)
def test_a_star_is_the_only_wildcard(pattern: str, text: str, matches: bool) -> None:
    assert bool(glob_test(pattern)(text)) is matches
    if pattern != "*":
        assert (Globs([(pattern, 1)], 6).find(text) == (1,)) is matches


@given(st.lists(st.text("ab.*", max_size=6), min_size=1, max_size=5), st.text("ab.", max_size=8), st.integers(1, 6))
def test_the_index_finds_what_the_patterns_match(patterns: list[str], text: str, head: int) -> None:
    found = Globs([(pattern, pattern) for pattern in patterns], head).find(text)
    assert set(found) == {pattern for pattern in patterns if glob_test(pattern)(text)}
    assert len(found) == len(set(found))


def test_prefixes_are_of_whole_names() -> None:
    prefixes = Prefixes(["java.", "jdk.internal."])
    assert "java.lang.Thread.run" in prefixes
    assert "javax.servlet.X" not in prefixes
    assert "jdk.jfr.X" not in prefixes
    assert "" not in prefixes


# --- the data


def wrong(
    classifier: Classifier, family: str, entry: dict[str, Any], example: dict[str, Any], wanted: bool
) -> str | None:
    """Why an example does not hold; None where it does."""
    frames = tuple(example_frame(text, family) for text in example["frames"])
    thread = dumps.thread("t", state=example.get("state"))
    thread.stack = frames
    versions = ("3.11.7",) if family == "python" else ("17.0.15",)
    made = dumps.dump([thread], family, version=versions[0])
    verdict = classifier.verdicts(made)[0]
    won = verdict.entry.id if verdict.entry else None
    keys = [classifier.key(frame) for frame in frames]
    matching = [key for key in keys if any(found.id == entry["id"] for found in classifier.catalog.frames.find(key))]
    if entry["role"] in {"marker", "transparent"}:
        if bool(matching) is wanted:
            return None
        return f"matches no frame of {keys}" if wanted else f"matches {matching}"
    if (won == entry["id"]) is wanted:
        return None
    if not wanted:
        return f"wins: {verdict.kind} at {verdict.blocking_frame}"
    if entry["role"] == "primitive" and verdict.blocking_frame in {
        classifier.shown(frame) for frame, key in zip(frames, keys, strict=True) if key in matching
    }:
        return None  # a library's entry wins, and the primitive says where the thread really blocks
    if not matching:
        return f"matches no frame of {keys}"
    return f"matches {matching}, but {won or 'no entry'} wins ({verdict.kind} at {verdict.blocking_frame})"


def example_frame(text: str, family: str) -> Frame:
    if text.startswith("call:"):
        return Frame(text.removeprefix("call:"), SOURCE_LINE, 1, native=True)
    if text.startswith("native:"):
        return Frame(text.removeprefix("native:"), "libc.so.6", None, native=True)
    if not naming(family).paths:
        return Frame(text, "X.java", 1)
    file, _, function = text.rpartition(":")
    return Frame(function, file, 1) if file != "?" else Frame(function)  # a dump without files


@pytest.mark.parametrize(("family", "file", "entry"), ENTRIES, ids=[entry["id"] for _, _, entry in ENTRIES])
def test_examples(family: str, file: str, entry: dict[str, Any], classifiers: dict[str, Classifier]) -> None:
    failed = []
    for field, wanted in (("examples", True), ("counter_examples", False)):
        for number, example in enumerate(entry.get(field, []), 1):
            reason = wrong(classifiers[family], family, entry, example, wanted)
            if reason is not None:
                failed.append(f"{file}: {entry['id']}: {field} {number} of {len(entry[field])}: {reason}")
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_entry_has_an_example(family: str) -> None:
    without = [f"{path.name}: {entry['id']}" for path, entry in toml_entries(family) if not entry.get("examples")]
    assert not without, f"{len(without)} entries have no examples: nothing shows that they match\n" + "\n".join(without)


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_are_unique(family: str) -> None:
    counts = Counter(entry["id"] for _, entry in toml_entries(family))
    assert [id for id, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_every_library_of_an_entry_has_a_profile(family: str) -> None:
    profiles = catalog.libraries(family)
    missing = {
        library: f"{path.name}: {entry['id']}"
        for path, entry in toml_entries(family)
        if (library := entry.get("library")) is not None and library not in profiles
    }
    assert not missing, f"no profile in data/libraries/{family}.toml for:\n" + "\n".join(
        f"{library} (used by {where})" for library, where in sorted(missing.items())
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_every_profile_is_used_or_says_why_not(family: str) -> None:
    used = {entry.get("library") for _, entry in toml_entries(family)}
    unused = [key for key, profile in catalog.libraries(family).items() if key not in used and not profile.get("note")]
    assert not unused, f"no entry has these libraries, and no `note` says why they are there: {', '.join(unused)}"


@pytest.mark.parametrize("family", FAMILIES)
def test_profile_keys_are_unique(family: str) -> None:
    profiles = tomllib.loads((DATA / "libraries" / f"{family}.toml").read_text("utf-8"))["library"]
    assert [key for key, count in Counter(profile["key"] for profile in profiles).items() if count > 1] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_timeouts_of_profiles_say_knob_phase_and_default(family: str) -> None:
    incomplete = [
        f"{key}: {timeout}"
        for key, profile in catalog.libraries(family).items()
        for timeout in profile.get("timeouts", ())
        if not all(timeout.get(field) for field in ("knob", "phase")) or "default" not in timeout
    ]
    assert incomplete == []


WAITING = {"external-call", "pool-wait", "lock-wait", "sync-wait", "queue-put"}


def test_libraries_that_threads_wait_in_say_what_can_be_done_at_run_time() -> None:
    """Or how a wait ends where nothing can be done: that is the first question at three in the morning."""
    profiles = catalog.libraries("jvm")
    waited_in = {
        library
        for _, entry in toml_entries("jvm")
        if entry.get("kind") in WAITING and (library := entry.get("library")) is not None
    }
    assert [key for key in sorted(waited_in) if not profiles[key].get("recovery")] == []


def test_libraries_that_are_called_say_their_limits() -> None:
    """And of each limit whether it is infinite unless somebody sets it."""
    profiles = catalog.libraries("jvm")
    called = {
        library
        for _, entry in toml_entries("jvm")
        if entry.get("kind") in {"external-call", "pool-wait"} and (library := entry.get("library")) is not None
    }
    assert [key for key in sorted(called) if not profiles[key].get("timeouts")] == []
    unsaid = [
        f"{key}: {timeout['knob']}"
        for key in sorted(profiles)
        for timeout in profiles[key].get("timeouts", ())
        if not isinstance(timeout.get("infinite_by_default"), bool)
    ]
    assert unsaid == []


@pytest.mark.parametrize("family", FAMILIES)
def test_no_pattern_names_one_run(family: str) -> None:
    """Addresses and generated numbers differ from run to run: a pattern with one never matches again."""
    run = re.compile(r"0x[0-9a-f]{6,}|\$\$Lambda[$/]\d|Accessor\d+")
    assert [
        f"{entry['id']}: {glob}" for _, entry in toml_entries(family) for glob in entry["match"] if run.search(glob)
    ] == []
