"""``python -m threaddump``."""

from threaddump.cli import main

main()
