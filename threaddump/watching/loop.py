"""The loop of ``watch``: look, show, compare, and when a condition has held for long enough, keep the evidence."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from threaddump.capture import Capture, Options, Target, capture
from threaddump.capture.keep import file_name
from threaddump.live import Captured
from threaddump.reports.terminal import print_lines
from threaddump.sources import InputError, Source
from threaddump.watching import table
from threaddump.watching.conditions import Trigger
from threaddump.watching.observe import Observation, Observer

if TYPE_CHECKING:
    from threaddump.watching.metrics import Metrics

SHARE = 0.05
"""Of the time at most so much is spent on dumps: while one takes long, the looks come less often."""
COMMAND_SECONDS = 300
_CLEAR = "\x1b[H\x1b[2J"


@dataclass(slots=True)
class Watch:
    """What is watched, and how."""

    target: Target
    every: float
    observer: Observer
    options: Options
    trigger: Trigger | None = None
    folder: Path = field(default_factory=lambda: Path("."))
    """Where bundles are written."""
    command: str | None = None
    """Run when the condition has held for long enough, without a shell."""
    metrics: Metrics | None = None
    looks: int | None = None
    """After so many it ends; None: it goes on."""


@dataclass(slots=True)
class Cost:
    """What watching costs the process."""

    looks: int = 0
    failed: int = 0
    held_s: float = 0.0
    """Time within dumps."""
    started: float = field(default_factory=time.monotonic)

    def words(self) -> str:
        share = 100 * self.held_s / max(time.monotonic() - self.started, 0.001)
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.looks} looks{failed}, in dumps for {self.held_s:.2f} s ({share:.1f} % of the time)"


def watch(
    watched: Watch,
    out: TextIO,
    *,
    width: Callable[[], int],
    color: bool,
    say: Callable[[str], None],
    complain: Callable[[InputError], None],
) -> Cost:
    """Look again and again until the process ends, ``looks`` are done, or Ctrl-C. Returns what it cost."""
    cost = Cost()
    try:
        while True:
            begun, held = time.monotonic(), 0.0
            try:
                taken = capture(watched.target, cost.looks + 1, replace(watched.options, light=True))
                observation = watched.observer.look(taken, _cpu_seconds(watched.target))
            except InputError as error:
                cost.failed += 1
                complain(error)
                if watched.metrics is not None:
                    watched.metrics.failed(watched.target.name, watched.target.pid)
                if not watched.target.alive():
                    break
            else:
                cost.looks += 1
                held = observation.took_s
                cost.held_s += held
                _show(watched, observation, cost, out, width(), color)
                if watched.metrics is not None:
                    watched.metrics.show(watched.target.name, watched.target.pid, observation)
                if watched.trigger is not None and watched.trigger.fires(observation):
                    _keep_evidence(watched, taken, observation, say, complain)
            if cost.looks + cost.failed == watched.looks:
                break
            time.sleep(max(begun + max(watched.every, held / SHARE) - time.monotonic(), 0))
    except KeyboardInterrupt:
        pass  # the way to end it
    return cost


def _cpu_seconds(target: Target) -> float | None:
    import psutil

    try:
        used = psutil.Process(target.pid).cpu_times()
    except psutil.Error:
        return None
    return used.user + used.system


def _show(watched: Watch, observation: Observation, cost: Cost, out: TextIO, width: int, color: bool) -> None:
    clock = f"{datetime.now().astimezone():%H:%M:%S}"
    if not out.isatty():
        out.write(table.one_line(watched.target, observation, clock) + "\n")
        out.flush()
        return
    out.write(_CLEAR)
    lines = table.screen(watched.target, observation, watched.trigger, cost.words(), clock, width)
    print_lines(lines, out, width=width, color=color)
    out.flush()


def _keep_evidence(
    watched: Watch,
    taken: Capture,
    observation: Observation,
    say: Callable[[str], None],
    complain: Callable[[InputError], None],
) -> None:
    """Write the dump and what is said of it into a folder of its own, and run the command."""
    assert watched.trigger is not None
    if watched.target.runtime == "jvm":
        try:
            taken = capture(watched.target, taken.round, watched.options)  # now with its virtual threads
        except InputError:
            pass  # what the look has shown is there
    folder = watched.folder / file_name(taken).removesuffix(".txt")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dump.txt").write_bytes(taken.text)
        _reports(folder, taken, watched.observer)
        (folder / "trigger.json").write_text(json.dumps(_trigger_facts(watched, observation), indent=1) + "\n", "utf-8")
    except OSError as error:
        complain(
            InputError(f"{folder}: cannot be written: {error.strerror or error}", "name another with --bundle DIR")
        )
        return
    say(f"{watched.trigger.condition.text} has held for {watched.trigger.seconds:.0f} s: {folder}")
    if watched.command:
        _run(watched.command, folder, watched.trigger, say, complain)


def _reports(folder: Path, taken: Capture, observer: Observer) -> None:
    from threaddump.analysis import analyze
    from threaddump.reports import json as as_json
    from threaddump.reports import markdown

    def fail(_: Source, error: InputError) -> None:
        raise error

    source = Captured("dump.txt", None, text=taken.text)
    report = analyze([source], fail, observer.rules, observer.stuck_after, observer.source_roots)
    with (folder / "report.md").open("w", encoding="utf-8", newline="\n") as out:
        markdown.write(report, out, top=10)
    with (folder / "report.json").open("w", encoding="utf-8", newline="\n") as out:
        as_json.write(report, out)


def _trigger_facts(watched: Watch, observation: Observation) -> dict[str, object]:
    assert watched.trigger is not None
    return {
        "condition": watched.trigger.condition.text,
        "seconds": watched.trigger.seconds,
        "pid": watched.target.pid,
        "name": watched.target.name,
        "by_kind": observation.report.by_kind,
        "busy": [
            {"thread": busy.name, "seconds": busy.seconds, "kind": busy.kind, "caller": busy.caller, "peer": busy.peer}
            for busy in observation.busy
        ],
    }


def _run(
    command: str,
    folder: Path,
    trigger: Trigger,
    say: Callable[[str], None],
    complain: Callable[[InputError], None],
) -> None:
    words = [*shlex.split(command), str(folder)]
    variables = {"THREADDUMP_BUNDLE": str(folder), "THREADDUMP_CONDITION": trigger.condition.text}
    try:
        done = subprocess.run(
            words,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        complain(InputError(f"--run: {error}", "the bundle is kept; run it by hand"))
        return
    say(f"--run ended with exit code {done.returncode}")
