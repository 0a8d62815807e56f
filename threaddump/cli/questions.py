"""Commands that answer questions: explain, formats."""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from threaddump.cli.application import UNUSABLE, app
from threaddump.cli.options import (
    AppOption,
    ListFormat,
    NoRulesOption,
    RulesOption,
    SourceRootOption,
    checked_roots,
    own_rules,
)
from threaddump.cli.output import complain, opened, screen
from threaddump.sources import InputError, expand


@app.command(
    short_help="Say what a finding means, or why a thread got its kind.",
    epilog="\b\n"
    "Exit codes:\n"
    "    0  explained\n"
    "    2  an unknown id, no such thread, or several of them\n"
    "  130  interrupted",
)
def explain(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID | FILE...]",
            help="A finding's or a catalog entry's id; with --thread or --line dump files, - or nothing for "
            "standard input.",
        ),
    ] = None,
    thread: Annotated[
        str | None,
        typer.Option("--thread", "-t", metavar="NAME", help="Explain this thread: its name, or a part only it has."),
    ] = None,
    line: Annotated[
        int | None,
        typer.Option("--line", "-l", min=1, metavar="N", help="Explain the thread whose entry has input line N."),
    ] = None,
    rules: RulesOption = None,
    no_rules: NoRulesOption = False,
    apps: AppOption = None,
    source_roots: SourceRootOption = None,
) -> None:
    """Say what a finding means, or why a thread got its kind.

    Without anything it lists the findings. Of a finding it tells what triggers it, how severe it is when, what to do
    and what it does not prove; of a catalog entry what it matches, and the timeouts and pools of its library; of a
    thread which frames and which entry decided, and why the others lost.

    \b
    Examples:
      threaddump explain
      threaddump explain hot-external-call
      threaddump explain jvm.pool.hikari
      threaddump explain --thread http-exec-49 dump.txt
      threaddump explain --line 1845 dump.txt
    """
    from threaddump import explain as explained

    if thread is None and line is None:
        if len(names or []) > 1:
            raise InputError(f"{len(names or [])} ids: one at a time", f"threaddump explain {(names or [])[0]}")
        answer = explained.id_answer(names[0]) if names else explained.list_lines
    else:
        own = own_rules(rules or [], apps or [], look=not no_rules)
        roots = checked_roots(source_roots or [])
        sources = expand(names or [])
        gc.disable()
        try:
            answer = explained.thread_answer(*explained.find_thread(sources, thread, line, complain), own, roots)
        except explained.AmbiguousError as error:
            print(f"threaddump: {error}", *error.lines, f"  try: {error.hint}", sep="\n", file=sys.stderr)
            raise typer.Exit(UNUSABLE) from None
    with opened(None) as out:
        explained.write(answer, out, *screen(out))


@app.command(
    name="formats",
    short_help="List what can be read, and how to take it.",
    epilog="\b\nExit codes:\n    0  listed\n    2  bad usage",
)
def list_formats(
    form: Annotated[ListFormat, typer.Option("--format", "-f", help="Form of the list.")] = ListFormat.terminal,
) -> None:
    """List the formats that can be read, by runtime, each with the command that takes such a dump.

    \b
    Examples:
      threaddump formats
      threaddump formats --format json
    """
    from threaddump import formats

    with opened(None) as out:
        if form is ListFormat.json:
            formats.write_json(out)
        else:
            from threaddump.explain import write

            write(formats.lines, out, *screen(out))
