"""Commands on many dumps of many instances: summarize, merge."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from threaddump.cli.application import INTERRUPTED, OK, UNUSABLE, app
from threaddump.cli.options import (
    AppOption,
    Format,
    NoRulesOption,
    RulesOption,
    StuckAfterOption,
    TopOption,
    own_rules,
)
from threaddump.cli.output import complain, opened, screen
from threaddump.sources import InputError, expand

if TYPE_CHECKING:
    from threaddump.summary import Summary

FAILURES_SHOWN = 10
SummaryFormatOption = Annotated[
    Format | None, typer.Option("--format", "-f", help="Form; else json in a file, terminal without --output.")
]
SummaryOutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to FILE: by default what merge reads.")
]


@app.command(
    short_help="Say what many dumps of many instances have in common.",
    epilog="\b\n"
    "Exit codes:\n"
    "    0  summarized\n"
    "    2  nothing usable: bad usage, no dump in any input, or the cluster was lost\n"
    "  130  interrupted; what was done so far is written",
)
def summarize(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Dump files, archives, folders, globs or URLs; - or nothing reads standard input."
        ),
    ] = None,
    form: SummaryFormatOption = None,
    output: SummaryOutputOption = None,
    top: TopOption = 10,
    processes: Annotated[
        int | None, typer.Option("--processes", "-p", min=1, metavar="N", help="Else one for each processor.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", metavar="dask://HOST:PORT", help="Let a cluster of dask.distributed work.")
    ] = None,
    stuck_after: StuckAfterOption = 5.0,
    rules: RulesOption = None,
    no_rules: NoRulesOption = False,
    apps: AppOption = None,
) -> None:
    """Say what many dumps of many instances have in common: where threads are stuck, in how many, since when.

    Inputs that cannot be used are listed and cost nothing else. Memory does not grow with the number of dumps but for
    some hundred bytes each. A part, written with --output, can be merged with others in any order.

    \b
    Examples:
      threaddump summarize dumps/
      threaddump summarize 's3://incident/2026-11-22/*.txt'
      threaddump summarize dumps-07/ --output part-07.json; threaddump merge part-*.json
    """
    from threaddump import fanout
    from threaddump.fleet import StoppedError
    from threaddump.fleet import summarize as summarize_sources

    own = own_rules(rules or [], apps or [], look=not no_rules)
    sources = expand(files or [])
    gc.disable()
    stopped: StoppedError | None = None
    with ExitStack() as opened:
        workers = None
        if engine is not None:
            workers = opened.enter_context(fanout.dask(engine))
        elif (width := min(processes or fanout.cpus(), len(sources))) > 1:
            workers = opened.enter_context(fanout.local(width))
        advance = opened.enter_context(_progress(len(sources)))
        try:
            summary = summarize_sources(sources, workers, own, stuck_after, advance)
        except StoppedError as error:
            stopped, summary = error, error.summary
    _write_summary(summary, form, output, top)
    if stopped is not None and stopped.reason is not None:
        complain(stopped.reason)
    if stopped is not None and stopped.reason is None:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(OK if summary.seen and stopped is None else UNUSABLE)


@app.command(
    short_help="Merge the parts that summarize wrote.",
    epilog="\b\n"
    "Exit codes:\n"
    "    0  merged\n"
    "    2  bad usage, or a part cannot be used: nothing is merged then\n"
    "  130  interrupted",
)
def merge(
    files: Annotated[list[str], typer.Argument(metavar="PART...", help="Files of summarize --output, or of merge.")],
    form: SummaryFormatOption = None,
    output: SummaryOutputOption = None,
    top: TopOption = 10,
) -> None:
    """Merge the parts that summarize wrote, in any order: the result is that of one run over all their inputs.

    \b
    Examples:
      threaddump merge part-*.json
      threaddump merge part-*.json --format markdown
      threaddump merge part-1*.json --output ten.json
    """
    from threaddump.parts import read
    from threaddump.summary import Summary

    summary = Summary()
    for source in expand(files):
        summary.absorb(read(source))
    _write_summary(summary, form, output, top)
    raise typer.Exit(OK if summary.seen else UNUSABLE)


def _write_summary(summary: Summary, form: Format | None, output: Path | None, top: int) -> None:
    """As JSON where it goes to a file and nothing else is wanted."""
    form = form or (Format.terminal if output is None else Format.json)
    with opened(output) as out:
        if form is Format.json:
            from threaddump import parts

            parts.write(summary, out)
        else:
            from threaddump.reports import fleet
            from threaddump.summary import Fleet

            if form is Format.markdown:
                fleet.write_markdown(Fleet(summary), out, top=top)
            else:
                width, color = screen(out)
                fleet.write(Fleet(summary), out, width=width, color=color, top=top)
    if form is not Format.json:
        return
    for failure in summary.failures[:FAILURES_SHOWN]:
        complain(InputError(f"{failure.source}: {failure.reason}", failure.hint))
    if summary.failed > FAILURES_SHOWN:
        more = summary.failed - FAILURES_SHOWN
        complain(InputError(f"{more} more input{'s' * (more != 1)} could not be used: see the summary", ""))


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Shows how many inputs are done where somebody looks on, and is silent in a pipe."""
    if sys.stderr is None or not sys.stderr.isatty() or total < 2:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    # No thread of its own: processes are forked from this one.
    with Progress(console=Console(stderr=True), transient=True, auto_refresh=False) as shown:
        task = shown.add_task("dumps", total=total)

        def advance(count: int) -> None:
            shown.advance(task, count)
            shown.refresh()

        yield advance
