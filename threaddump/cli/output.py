"""Where output goes: a terminal, a pipe, a file that appears when it is complete; complaints go to standard error."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from threaddump.cli.application import FAILED_ON, OK, PROBLEMS
from threaddump.cli.options import FailOn, Format
from threaddump.report import SEVERITIES, Report
from threaddump.sources import InputError

PIPE_WIDTH = 100
"""Width of a report that goes to a file or a pipe, unless COLUMNS says otherwise."""


def exit_code(report: Report, fail_on: FailOn | None, strict: bool) -> int:
    if fail_on is not None:
        worst = min((SEVERITIES.index(finding.severity) for finding in report.findings), default=len(SEVERITIES))
        if worst <= SEVERITIES.index(fail_on.value):
            return FAILED_ON
    if strict:
        if report.problems or any(dump.problems or dump.unread_lines or dump.truncated for dump in report.dumps):
            return PROBLEMS
    return OK


def write_report(report: Report, out: TextIO, form: Format, top: int) -> None:
    if form is Format.json:
        from threaddump.reports import json

        json.write(report, out)
    elif form is Format.markdown:
        from threaddump.reports import markdown

        markdown.write(report, out, top=top)
    else:
        from threaddump.reports import terminal

        width, color = screen(out)
        terminal.write(report, out, width=width, color=color, top=top)


def screen(out: TextIO) -> tuple[int, bool]:
    """How wide the output is, and whether it shows colours."""
    on_terminal = out.isatty()
    color = on_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    fallback = (PIPE_WIDTH, 24) if not on_terminal else (80, 24)
    return shutil.get_terminal_size(fallback).columns, color


@contextmanager
def opened(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears only when the report is complete."""
    if path is None:
        if sys.stdout is None:
            raise InputError("standard output is closed", "write the report to a file with --output")
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader of our output (head, less) has gone: nothing is wrong. What is still buffered goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise InputError(
                f"the report cannot be written: {error.strerror or error}", "write it to a file with --output"
            ) from error
        return
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("w", encoding="utf-8", errors="replace", newline="\n") as out:
            yield out
        partial.replace(path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror or error}", "choose another file with --output"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def complain(error: InputError) -> None:
    print(f"threaddump: {harmless(str(error))}" + (f"\n  try: {error.hint}" if error.hint else ""), file=sys.stderr)


def harmless(text: str) -> str:
    """A file's name may hold control characters: none of them reaches the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
