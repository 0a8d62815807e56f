"""The command line: options to calls, errors to a message with the next command to try, findings to exit codes."""

from __future__ import annotations

import sys

from threaddump.cli import dumps, fleet, processes, questions  # noqa: F401  (--help lists commands in this order)
from threaddump.cli.application import INTERRUPTED, UNUSABLE, app
from threaddump.cli.output import complain
from threaddump.sources import InputError


def main() -> None:
    """Entry point of the console script."""
    try:
        app(prog_name="threaddump", standalone_mode=True)
    except InputError as error:
        complain(error)
        sys.exit(UNUSABLE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
