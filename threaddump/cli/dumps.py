"""Commands on dumps: analyze, diff."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

from threaddump.cli.application import FAILED_ON, UNUSABLE, app
from threaddump.cli.options import (
    AppOption,
    FailOn,
    Format,
    NoRulesOption,
    RulesOption,
    SourceRootOption,
    StuckAfterOption,
    TopOption,
    checked_roots,
    own_rules,
)
from threaddump.cli.output import complain, exit_code, opened, screen, write_report
from threaddump.report import SEVERITIES
from threaddump.sources import InputError, Source, expand


@app.command(
    short_help="Say what threads are stuck on, who waits behind them, what to do.",
    epilog="\b\n"
    "Exit codes:\n"
    "    0  analysed\n"
    "    1  --fail-on was met\n"
    "    2  nothing usable: bad usage, no dump in any input\n"
    "    3  --strict, and the input has problems\n"
    "  130  interrupted",
)
def analyze(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Dump files, archives, folders or globs; - or nothing reads standard input."
        ),
    ] = None,
    form: Annotated[Format, typer.Option("--format", "-f", help="Form of the report.")] = Format.terminal,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the report to FILE.")
    ] = None,
    top: TopOption = 10,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="Exit with 1 if a finding is this severe or worse.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if the input has problems: unread lines, missing threads.")
    ] = False,
    stuck_after: StuckAfterOption = 5.0,
    services: Annotated[
        list[str] | None,
        typer.Option("--service", metavar="NAME=FILE", help="Dumps of a service: a file, folder or glob. Repeat it."),
    ] = None,
    calls: Annotated[
        list[str] | None,
        typer.Option(
            "--calls", metavar="CALLER:CALLED", help="One service calls the other, where no address shows it."
        ),
    ] = None,
    rules: RulesOption = None,
    no_rules: NoRulesOption = False,
    apps: AppOption = None,
    source_roots: SourceRootOption = None,
) -> None:
    """Say what the threads of a dump are stuck on, who waits behind them, and what to do.

    Reads what jstack, jcmd, kill -3, py-spy, faulthandler and others print (threaddump formats lists them all), within
    logs, wrapped by log collectors, and in archives; all dumps of a file are found.

    \b
    Examples:
      threaddump analyze dump.txt
      py-spy dump --pid 123 | threaddump analyze
      kubectl exec POD -- jcmd 1 Thread.print -l | threaddump analyze -f markdown
      threaddump analyze --service frontend='fe*.txt' --service orders='om*.txt'
    """
    from threaddump.analysis import analyze as analyze_sources

    own = own_rules(rules or [], apps or [], look=not no_rules)
    roots = checked_roots(source_roots or [])
    failed: list[InputError] = []
    skipped = 0

    def on_error(source: Source, error: InputError) -> None:
        nonlocal skipped
        if source.named:
            failed.append(error)
        else:
            skipped += 1

    named: dict[str, str] = {}
    sources = expand(files or []) if files or not services else []
    if services:
        from threaddump.tiers.services import service_sources

        sources, named = service_sources(services, sources)
    pairs: list[tuple[str, str]] = []
    if calls:
        from threaddump.tiers.services import called

        pairs = called(calls)
    # A run is short and makes no cycles worth collecting: the collector would only walk the threads again and again.
    gc.disable()
    report = analyze_sources(sources, on_error, own, stuck_after, roots, named, pairs)
    for error in failed:
        complain(error)
    if skipped:
        seen = skipped + len(failed) + len({(dump.source, dump.member) for dump in report.dumps})
        message = f"no thread dump in {skipped} of {seen} file{'s' * (seen != 1)}"
        from threaddump.formats import how_to_take_any

        complain(InputError(message, "" if report.dumps else how_to_take_any()))
    if not report.dumps:
        raise typer.Exit(UNUSABLE)
    with opened(output) as out:
        write_report(report, out, form, top)
    raise typer.Exit(exit_code(report, fail_on, strict))


@app.command(
    short_help="Compare a good and a bad moment: what is new, gone, grown.",
    epilog="\b\n"
    "Exit codes:\n"
    "    0  compared\n"
    "    1  --fail-on was met by a finding that is new or worse\n"
    "    2  nothing usable on one of the sides\n"
    "  130  interrupted",
)
def diff(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="A dump file, folder or glob of the good moment.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="The same of the bad moment.")],
    form: Annotated[Format, typer.Option("--format", "-f", help="Form of the report.")] = Format.terminal,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the report to FILE.")
    ] = None,
    top: TopOption = 10,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="Exit with 1 if a new or worse finding is this severe.")
    ] = None,
    stuck_after: StuckAfterOption = 5.0,
    rules: RulesOption = None,
    no_rules: NoRulesOption = False,
    apps: AppOption = None,
) -> None:
    """Compare a good and a bad moment: what is new, what is gone, what has grown.

    Of each process the last dump of a side counts. Dumps of one process are compared thread by thread, others (another
    instance, or after a restart) by the places that threads are blocked in.

    \b
    Examples:
      threaddump diff quiet.txt stuck.txt
      threaddump diff 'monday/orders-*.txt' 'friday/orders-*.txt' -f markdown
    """
    from threaddump.analysis import analyze_and_keep
    from threaddump.reports import difference as reports
    from threaddump.series.difference import difference

    own = own_rules(rules or [], apps or [], look=not no_rules)

    def on_error(source: Source, error: InputError) -> None:
        if source.named:
            complain(error)

    gc.disable()
    sides = []
    for side in (before, after):
        report, kept = analyze_and_keep(expand([side]), on_error, own, stuck_after)
        if not report.dumps:
            raise InputError(f"{side}: no thread dump to compare", "threaddump diff BEFORE AFTER: two files or folders")
        sides.append(kept)
    found = difference(*sides)
    with opened(output) as out:
        if form is Format.json:
            reports.write_json(found, out)
        elif form is Format.markdown:
            reports.write_markdown(found, out, top=top)
        else:
            from threaddump.reports.terminal import print_lines

            width, color = screen(out)
            print_lines(reports.lines(found, width, top), out, width=width, color=color)
    grown = [SEVERITIES.index(finding.severity) for finding in (*found.new_findings, *found.worse_findings)]
    if fail_on is not None and grown and min(grown) <= SEVERITIES.index(fail_on.value):
        raise typer.Exit(FAILED_ON)
