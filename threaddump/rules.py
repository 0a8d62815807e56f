"""The user's own rules: ``threaddump.toml``, ``--rules FILE`` and ``--app PACKAGE``.

``load`` reads and checks the files into one ``Rules`` value: plain data that travels between processes. What is read
later wins. ``Rules.classifier`` gives a classifier that knows them. This module is imported only where there are rules.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from threaddump import catalog
from threaddump.catalog import Catalog, Entry, ThreadNames
from threaddump.catalog.compile import CatalogError, check_entry
from threaddump.classify import Classifier, Verdict
from threaddump.naming import naming
from threaddump.report import SEVERITIES, Severity
from threaddump.sources import InputError
from threaddump_parsers.model import Frame, Stack

FAMILIES = ("jvm", "python", "go", "dotnet", "ruby")
STATES = ("ACTIVE", "BLOCKED", "IDLE", "RUNNABLE", "TIMED_WAITING", "WAITING")
ROLES = ("request", "worker", "background")
OWN_PRIORITY = 100
"""Of own entries that set none: above all of ours."""
_ROLE_OF_KIND = {"external-call": "integration", "pool-wait": "pool", "idle": "idle"}
_CONSEQUENCE = "nothing was analysed"

_FILE = ("schema", "app", "entry", "library", "idle", "severity", "disable", "pool")
_PROOF = ("examples", "counter_examples", "verified", "evidence", "versions")
_ENTRY = (*(Entry.__dataclass_fields__.keys() - {"profile"}), "runtime", *_PROOF)
_POOL = ("match", "label", "role", "size")
_TIMEOUT = {"phase": str, "knob": str, "default": str, "infinite_by_default": bool}
_KNOB = {"knob": str, "default": str}


@dataclass(frozen=True, eq=False)
class Rules:
    """All rules of the user, checked. Plain data: it is handed to other processes."""

    names: tuple[str, ...] = ()
    """Where they are from: files, and options."""
    app: tuple[str, ...] = ()
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    libraries: dict[str, dict[str, Any]] = field(default_factory=dict)
    pools: tuple[dict[str, Any], ...] = ()
    """The first that matches a thread's name counts."""
    severities: dict[str, Severity | None] = field(default_factory=dict)
    """By finding id; None is off."""
    disabled: frozenset[str] = frozenset()
    """Catalog entries that are left out."""

    def classifier(self, family: str) -> Classifier:
        """A classifier for one runtime family that knows these rules."""
        return _OwnClassifier(family, self)

    def catalog(self, family: str) -> Catalog:
        """The catalog with these rules in it."""
        own = {id: entry for id, entry in self.entries.items() if entry["runtime"] == family}
        left_out = {"runtime", *_PROOF}
        data = catalog.data(family)
        entries = [entry for entry in data["entries"] if entry["id"] not in own and entry["id"] not in self.disabled]
        entries += [{key: value for key, value in entry.items() if key not in left_out} for entry in own.values()]
        packages = [name for library in self.libraries.values() for name in library.get("packages", ())]
        if not naming(family).paths:
            packages = [f"{name.rstrip('.*')}." for name in packages]
        pools = [
            (glob, names)
            for pool in self.pools
            for names in [ThreadNames("own", pool.get("role", ""), pool["label"], pool.get("size"))]
            for glob in pool["match"]
        ]
        return Catalog(
            data
            | {
                "entries": entries,
                "libraries": [*data.get("libraries", ()), *packages],
                "profiles": self.libraries,
                "own_pools": pools,
            }
        )


# Applying


class _OwnClassifier(Classifier):
    """Knows the user's application packages, and lets the user's entries explain wherever they stand.

    The frames above one of the user's entries belong to what it stands for, whoever wrote them; a frame of an
    application package is never above the application otherwise.
    """

    def __init__(self, family: str, rules: Rules) -> None:
        super().__init__(family, rules.catalog(family))
        self._own = frozenset(e for id in rules.entries if (e := self.catalog.by_id.get(id)) is not None)
        # An application's name as the beginning of a key, and as a part of a Python file's path.
        names = [name.replace("\\", "/").rstrip("/.*") for name in rules.app]
        if family == "python":
            names = [(name if "/" in name else name.removesuffix(".py").replace(".", "/")) for name in names]
            self._app = tuple(begin for name in names for begin in (f"{name}/", f"{name}.py:"))
            self._app_paths = tuple(f"/{name.strip('/')}" for name in names)
        else:
            self._app = tuple(begin for name in names for begin in (f"{name}.", f"{name}$", f"{name}/"))
            self._app_paths = ()
        self._app_keys: set[str] = set()
        """Keys of Python frames whose file lies below an application's folder."""

    def is_app(self, key: str) -> bool:
        """Of the packages that the user calls the application."""
        return key.startswith(self._app) or key in self._app_keys

    def is_platform(self, key: str) -> bool:
        return not self.is_app(key) and super().is_platform(key)

    def is_library(self, key: str) -> bool:
        return not self.is_app(key) and super().is_library(key)

    def zone(self, keys: list[str], matched: list[tuple[Entry, ...]]) -> int:
        # The package of an own entry is not taken for a library's as a whole: it may well be the application's.
        ours = [tuple(entry for entry in entries if entry not in self._own) for entries in matched]
        app = (i for i, key in enumerate(keys) if self.is_app(key) and not any(e.library for e in ours[i]))
        own = (i for i, entries in enumerate(matched) if any(map(self._explains, entries)))
        return max(min(super().zone(keys, ours), next(app, len(keys))), next(own, -1) + 1)

    def _explains(self, entry: Entry) -> bool:
        return entry in self._own and entry.role not in {"marker", "transparent"}

    def _classify(self, stack: Stack, state: str | None, version: str | None) -> Verdict:
        if self._app_paths:
            self._app_keys.update(self.key(frame) for frame in stack if self._in_app_folder(frame))
        return super()._classify(stack, state, version)

    def _in_app_folder(self, frame: Frame) -> bool:
        path = f"/{(frame.file or '').replace(chr(92), '/').lstrip('/')}"
        if frame.native or "/site-packages/" in path or "/dist-packages/" in path:
            return False
        inside = any(f"{name}/" in path or path.endswith(f"{name}.py") for name in self._app_paths)
        return inside and not super().is_platform(self.key(frame))

    def _callers(
        self, stack: Stack, keys: list[str], matched: list[tuple[Entry, ...]], start: int
    ) -> tuple[str | None, tuple[str, ...]]:
        app = [i for i in range(start, len(keys)) if self.is_app(keys[i]) and not self.catalog.proxies.find(keys[i])]
        app = [i for i in app if not any(e in self._own and e.library for e in matched[i])]
        if not app:
            return super()._callers(stack, keys, matched, start)
        return self.shown(stack[app[0]]), tuple(keys[i] for i in app)


# Reading


def load(automatic: str | Path | None = None, named: Sequence[str | Path] = (), app: Sequence[str] = ()) -> Rules:
    """The rules of these files in this order, and application packages. What comes later wins.

    Raises InputError for a file that cannot be read and for a rule that cannot be used.
    """
    rules = Rules()
    if automatic is not None:
        rules = _File(automatic, "correct the file, or go on without it: --no-rules").added_to(rules)
    for path in named:
        rules = _File(path, "correct the file, or leave out --rules").added_to(rules)
    for name in app:
        if not name.strip("./\\* "):
            raise InputError(f"--app {name!r} is no package; {_CONSEQUENCE}", "name a package: --app com.acme")
    return replace(rules, names=(*rules.names, *(f"--app {name}" for name in app)), app=(*rules.app, *app))


class _File:
    """One file while it is read and checked."""

    def __init__(self, path: str | Path, hint: str) -> None:
        self.name, self.hint = str(path), hint
        try:
            self.data = tomllib.loads(Path(path).read_text("utf-8-sig"))
        except OSError as error:
            self.fail(f"cannot be read: {error.strerror or error}")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self.fail(f"is not readable as TOML: {error}")

    def fail(self, what: str) -> NoReturn:
        raise InputError(f"{self.name}: {what}; {_CONSEQUENCE}", self.hint)

    def added_to(self, before: Rules) -> Rules:
        """These rules after those read before."""
        data = self.data
        self.keys(data, _FILE, "")
        if type(data.get("schema")) is not int or data["schema"] != 1:
            self.fail(f"schema {data['schema']!r} is not 1" if "schema" in data else "schema = 1 is missing")
        app = self.texts(data, "app")
        for name in app:
            if not name.strip("./\\* "):
                self.fail(f"app: {name!r} is no package")
        entries = self.once("id", [*map(self.entry, self.tables("entry")), *map(_idle, self.texts(data, "idle"))])
        libraries = self.once("key", map(self.library, self.tables("library")))
        pools = tuple(map(self.pool, self.tables("pool")))
        severities = before.severities | self.severities()
        # An entry that is defined here is wanted, though a file read before had switched off that of its id.
        disabled = set(before.disabled.difference(entries))
        ours = {entry["id"] for family in FAMILIES for entry in catalog.data(family)["entries"]}
        known = ours | before.entries.keys() | entries.keys()
        for id in self.texts(data, "disable"):
            if id in _finding_ids():
                severities[id] = None
            elif id in known:
                disabled.add(id)
            else:
                self.fail(
                    f"disable: {id!r} is neither a finding nor a catalog entry{_near(id, known | _finding_ids())}"
                )
        return Rules(
            names=(*before.names, self.name),
            app=(*before.app, *app),
            entries={id: e for id, e in (before.entries | entries).items() if id not in disabled},
            libraries=before.libraries | libraries,
            pools=(*pools, *before.pools),
            severities=severities,
            disabled=frozenset(disabled),
        )

    def once(self, key: str, rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """The rows by their id, which no two may share."""
        found: dict[str, dict[str, Any]] = {}
        for row in rows:
            if row[key] in found:
                self.fail(f"{'entry' if key == 'id' else 'library'} {row[key]!r} stands there twice")
            found[row[key]] = row
        return found

    def keys(self, table: dict[str, Any], known: Sequence[str], where: str) -> None:
        for key in table:
            if key not in known:
                self.fail(f"{where}unknown key {key!r}{_near(key, known)}")

    def texts(self, table: dict[str, Any], key: str, where: str = "") -> list[str]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.fail(f"{where}{key} is not a list of texts")
        return list(value)

    def tables(self, key: str, within: dict[str, Any] | None = None, where: str = "") -> list[dict[str, Any]]:
        value = (self.data if within is None else within).get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.fail(f"{where}{key} is not a list of tables" + (f": write [[{key}]]" if within is None else ""))
        return list(value)

    def entry(self, row: dict[str, Any]) -> dict[str, Any]:
        where = f"entry {row.get('id', '(no id)')!r}: "
        self.keys(row, _ENTRY, where)
        for key in ("kind", "role", "timed"):
            if not isinstance(row.get(key, ""), str):
                self.fail(f"{where}{key} is not a text")
        entry: dict[str, Any] = {"priority": OWN_PRIORITY, "role": _ROLE_OF_KIND.get(row.get("kind", ""), "wait")} | row
        try:
            check_entry({key: value for key, value in entry.items() if key != "runtime"}, self.name, _CONSEQUENCE)
        except CatalogError as error:
            raise InputError(str(error), self.hint) from None
        self.one_of(entry.get("runtime"), "runtime", FAMILIES, where)
        for state in entry.get("states", ()):
            self.one_of(state, "state", STATES, where)
        return entry

    def one_of(self, value: object, what: str, known: Sequence[str], where: str) -> None:
        if value not in known:
            self.fail(f"{where}{what} {value!r} is none of {', '.join(known)}")

    def library(self, row: dict[str, Any]) -> dict[str, Any]:
        where = f"library {row.get('key', '(no key)')!r}: "
        known = ("key", "name", "system", "timeouts", "pool", "recovery", "packages", "note", *_PROOF)
        self.keys(row, known, where)
        for key in ("key", "name"):
            if not isinstance(row.get(key), str) or not row[key]:
                self.fail(f"{where}it has no {key}")
        if not isinstance(row.get("system", ""), str):
            self.fail(f"{where}system is not a text")
        for key in ("recovery", "packages"):
            self.texts(row, key, where)
        for key, fields in (("timeouts", _TIMEOUT), ("pool", _KNOB)):
            for item in self.tables(key, row, where):
                self.keys(item, tuple(fields), f"{where}{key}: ")
                for name, expected in fields.items():
                    if not isinstance(item.get(name, False if expected is bool else None), expected):
                        self.fail(f"{where}{key}: {name} is not a {'text' if expected is str else 'truth value'}")
        return row

    def pool(self, row: dict[str, Any]) -> dict[str, Any]:
        where = f"pool {row.get('label', row.get('match'))!r}: "
        self.keys(row, _POOL, where)
        match = self.texts(row, "match", where)
        if not match:
            self.fail(f"{where}match is empty")
        if not isinstance(row.get("label", "-"), str):
            self.fail(f"{where}label is not a text")
        if "role" in row:
            self.one_of(row["role"], "role", ROLES, where)
        if type(row.get("size", 1)) is not int or row.get("size", 1) < 1:
            self.fail(f"{where}size {row['size']!r} is not a number of threads")
        return {"label": match[0]} | row

    def severities(self) -> dict[str, Severity | None]:
        table = self.data.get("severity", {})
        if not isinstance(table, dict):
            self.fail("severity is not a table: write [severity]")
        found: dict[str, Severity | None] = {}
        for id, wanted in table.items():
            if id not in _finding_ids():
                self.fail(f"severity: {id!r} is no finding{_near(id, _finding_ids())}")
            self.one_of(wanted, "severity", (*SEVERITIES, "off"), f"severity of {id!r}: ")
            found[id] = next((severity for severity in SEVERITIES if severity == wanted), None)
        return found


def _idle(pattern: str) -> dict[str, Any]:
    """The short form of an entry for an idle frame."""
    runtime = "python" if ".py:" in pattern or pattern.startswith(("native:", "call:")) else "jvm"
    if ".rb:" in pattern:
        runtime = "ruby"
    elif "(*" in pattern or ("/" in pattern.partition(":")[0] and runtime == "jvm"):
        runtime = "go"
    return {
        "id": f"idle:{pattern}",
        "runtime": runtime,
        "kind": "idle",
        "role": "idle",
        "priority": OWN_PRIORITY,
        "match": [pattern],
    }


@cache
def _finding_ids() -> frozenset[str]:
    texts = Path(__file__).parent / "findings" / "texts.toml"
    return frozenset(row["id"] for row in tomllib.loads(texts.read_text("utf-8"))["finding"])


def _near(word: str, known: Iterable[str]) -> str:
    """The end of a message about a word that is not known."""
    near = difflib.get_close_matches(word, sorted(known), 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
