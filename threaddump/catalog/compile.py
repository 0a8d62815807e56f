"""Checks the catalog's TOML and writes it as JSON, which loads thirty times faster.

Run when the wheel is built (``hatch_build.py``) and by hand with ``python -m threaddump.catalog.compile``. Standard
library only: the build has none of the package's dependencies. The loader compares the checksum that stands in each
compiled file with the TOML beside it, so a stale one is never used.
"""

from __future__ import annotations

import json
import tomllib
import zlib
from pathlib import Path
from typing import Any

KINDS = {
    "external-call",
    "pool-wait",
    "lock-wait",
    "sync-wait",
    "queue-put",
    "io",
    "sleep",
    "running",
    "idle",
    "runtime",
}
ROLES = {"primitive", "integration", "pool", "wait", "idle", "marker", "transparent"}
TIMED = {"always", "never", "state", "frame", "line", "locals", "unknown"}
_LIST_OF_STR = ("match", "requires", "forbids", "states", "timed_frames", "untimed_frames")
_STR = ("library", "system", "phase", "versions", "note", "evidence")
_OTHER = ("id", "kind", "role", "priority", "max_depth", "timed", "locals", "pool_object", "verified")
_PROOF = ("examples", "counter_examples", "evidence", "verified", "versions")
"""Fields that only tests and readers of the TOML need: left out of the compiled form."""


class CatalogError(ValueError):
    """A rule that cannot be used; the message names the file, the rule and what follows from it."""


def check_entry(entry: dict[str, Any], where: str, consequence: str = "the entry cannot be used") -> None:
    """Raise CatalogError unless this is a well-formed ``[[entry]]``."""

    def bad(what: str) -> CatalogError:
        return CatalogError(f"{where}: entry {entry.get('id', '(no id)')!r}: {what}; {consequence}")

    if not isinstance(entry.get("id"), str):
        raise bad("it has no id")
    unknown = set(entry) - set(_LIST_OF_STR) - set(_STR) - set(_OTHER) - {"examples", "counter_examples"}
    if unknown:
        raise bad(f"unknown field {min(unknown)!r}")
    role = entry.get("role")
    if role not in ROLES:
        raise bad(f"role {role!r} is none of {', '.join(sorted(ROLES))}")
    if role in {"marker", "transparent"}:
        if entry.get("kind") is not None:
            raise bad(f"a {role} entry decides nothing, so it has no kind")
    elif entry.get("kind") not in KINDS:
        raise bad(f"kind {entry.get('kind')!r} is none of {', '.join(sorted(KINDS))}")
    for field in _STR:
        if not isinstance(entry.get(field, ""), str):
            raise bad(f"{field} is not a text")
    if entry.get("timed", "unknown") not in TIMED:
        raise bad(f"timed {entry['timed']!r} is none of {', '.join(sorted(TIMED))}")
    for field, default in (("priority", None), ("max_depth", 1)):
        if type(entry.get(field, default)) is not int:
            raise bad(f"{field} is not a number")
    for field in _LIST_OF_STR:
        value = entry.get(field, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise bad(f"{field} is not a list of patterns")
    if not entry.get("match"):
        raise bad("match is empty")
    for field in ("locals", "pool_object"):
        value = entry.get(field, [])
        if not isinstance(value, list) or not all(map(_is_local, value)):
            raise bad(f"{field} is not a list of {{ frame, name }}")


def _is_local(item: object) -> bool:
    return isinstance(item, dict) and set(item) == {"frame", "name"} and all(isinstance(v, str) for v in item.values())


def read_toml(path: Path) -> dict[str, Any]:
    """One catalog file; CatalogError names it when it is not TOML or of another schema."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path.name}: not readable as TOML: {error}") from error
    if data.get("schema") != 1:
        raise CatalogError(f"{path.name}: schema {data.get('schema')!r} is not 1; the file cannot be used")
    return data


def sources(folder: Path) -> list[Path]:
    """The TOML files of one runtime family, in a stable order."""
    return sorted(folder.glob("*.toml"))


def checksum(paths: list[Path]) -> int:
    """Of the files' names and bytes; the compiled form carries it."""
    value = 0
    for path in paths:
        value = zlib.crc32(path.name.encode(), value)
        value = zlib.crc32(path.read_bytes(), value)
    return value


def compiled_family(folder: Path) -> dict[str, Any]:
    """All entries, package and thread names of one family as one checked value."""
    paths = sources(folder)
    entries: list[dict[str, Any]] = []
    result: dict[str, Any] = {"checksum": checksum(paths), "entries": entries}
    seen: dict[str, str] = {}
    for path in paths:
        data = read_toml(path)
        for entry in data.pop("entry", []):
            check_entry(entry, path.name)
            if entry["id"] in seen:
                raise CatalogError(f"{path.name}: entry {entry['id']!r} stands in {seen[entry['id']]} already")
            seen[entry["id"]] = path.name
            entries.append({key: value for key, value in entry.items() if key not in _PROOF})
        del data["schema"]
        result.update(data)
    return result


def compiled_libraries(path: Path) -> dict[str, Any]:
    """The library profiles of one family, by key."""
    profiles = {}
    for profile in read_toml(path).get("library", []):
        if not isinstance(profile.get("key"), str) or not isinstance(profile.get("name"), str):
            raise CatalogError(f"{path.name}: a library profile has no key or no name; it cannot be used")
        profiles[profile["key"]] = profile
    return {"checksum": checksum([path]), "libraries": profiles}


def compile_all(data: Path) -> list[Path]:
    """Write the compiled form of everything below ``data`` and return the files written."""
    written = []
    for folder in sorted(p for p in data.iterdir() if p.is_dir() and p.name != "libraries"):
        target = data / f"{folder.name}.json"
        target.write_text(json.dumps(compiled_family(folder), separators=(",", ":")), "utf-8")
        written.append(target)
    for path in sources(data / "libraries"):
        target = path.with_suffix(".json")
        target.write_text(json.dumps(compiled_libraries(path), separators=(",", ":")), "utf-8")
        written.append(target)
    return written


if __name__ == "__main__":
    for written_file in compile_all(Path(__file__).parent / "data"):
        print(written_file)
