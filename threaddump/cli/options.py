"""Options that several commands have, and what they stand for."""

from __future__ import annotations

import os
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from threaddump.sources import InputError

if TYPE_CHECKING:
    from threaddump.rules import Rules

RULES = "threaddump.toml"


class Format(StrEnum):
    """Output formats."""

    terminal = "terminal"
    markdown = "markdown"
    json = "json"


class ListFormat(StrEnum):
    """Forms of a list."""

    terminal = "terminal"
    json = "json"


class FailOn(StrEnum):
    """Severities for --fail-on."""

    critical = "critical"
    high = "high"
    medium = "medium"
    low = "low"
    info = "info"


_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(ms|s|m|min|h)?")
_UNITS = {"ms": 0.001, "s": 1, None: 1, "m": 60, "min": 60, "h": 3600}


def duration(text: str | float) -> float:
    """Seconds of ``5s``, ``500ms``, ``2m``, ``1h`` or a plain number."""
    match = _TIME.fullmatch(str(text))
    if match is None:
        raise typer.BadParameter(f"{text!r} is no time: 5s, 500ms, 2m or 1h")
    return float(match[1]) * _UNITS[match[2]]


RulesOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--rules", metavar="FILE", help=f"Your own rules, on top of {RULES} in this or your configuration folder."
    ),
]
NoRulesOption = Annotated[bool, typer.Option("--no-rules", help=f"Do not look for a {RULES}.")]
SourceRootOption = Annotated[
    list[str] | None,
    typer.Option(
        "--source-root",
        metavar="DIR",
        help="Your application's Python source: tells what C calls and locks its lines mean. Can be repeated.",
    ),
]
AppOption = Annotated[
    list[str] | None,
    typer.Option("--app", metavar="PACKAGE", help="A package of your application: its frames are the callers."),
]
StuckAfterOption = Annotated[
    float,
    typer.Option(
        "--stuck-after", parser=duration, metavar="TIME", help="A call that waits for so long is stuck (captures)."
    ),
]
TopOption = Annotated[
    int, typer.Option("--top", "-n", min=1, metavar="N", help="Show the N worst of each list; the rest is counted.")
]


def own_rules(named: list[Path], apps: list[str], look: bool) -> Rules | None:
    """The user's own rules. Where there are none, nothing is imported for them."""
    found = None
    if look:
        places = [RULES, os.path.join(config_folder(sys.platform), "threaddump", RULES)]
        found = next(filter(os.path.isfile, places), None)
    if found is None and not named and not apps:
        return None
    from threaddump.rules import load

    return load(found, named, apps)


def checked_roots(named: list[str]) -> tuple[str, ...]:
    for root in named:
        if not os.path.isdir(root):
            raise InputError(f"--source-root {root}: no such folder", "name the folder that your packages stand in")
    return tuple(named)


def config_folder(platform: str) -> str:
    """Where the user's programs keep their configuration."""
    home = os.path.expanduser("~")
    if platform == "win32":
        return os.environ.get("APPDATA") or os.path.join(home, "AppData", "Roaming")
    if platform == "darwin":
        return os.path.join(home, "Library", "Application Support")
    xdg = os.environ.get("XDG_CONFIG_HOME", "")
    return xdg if os.path.isabs(xdg) else os.path.join(home, ".config")
