"""The application that the commands belong to, and their exit codes."""

from __future__ import annotations

from typing import Annotated

import typer

from threaddump import __version__

OK, FAILED_ON, UNUSABLE, PROBLEMS, INTERRUPTED = 0, 1, 2, 3, 130
app = typer.Typer(
    name="threaddump",
    help="Tells from JVM and Python thread dumps what the threads are stuck on, who waits behind them, and what to do.",
    epilog="\b\n"
    "Start with one of:\n"
    "  threaddump analyze dump.txt\n"
    "  py-spy dump --pid PID | threaddump analyze\n"
    "  threaddump analyze --help",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"threaddump {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
