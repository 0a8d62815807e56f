"""Prints a copy-paste line of README.md: `python3 .ci/readme.py try` or `test`.

README marks each with an HTML comment, followed by a fenced block of one line:

    <!-- try -->
    ```console
    python3 -m venv ...
    ```

and each block of shown output with `<!-- output: threaddump analyze PATH -->`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
_BLOCK = re.compile(
    r"^<!-- (?P<mark>[^\n]+?) -->\n+(?P<fence>```+)[^\n]*\n(?P<body>.*?)\n(?P=fence)$", re.MULTILINE | re.DOTALL
)


def blocks(text: str) -> list[tuple[str, str]]:
    """All marked blocks of a README: (mark, body), in order."""
    return [(match["mark"], match["body"]) for match in _BLOCK.finditer(text)]


def line(text: str, mark: str) -> str:
    """The one line of the block marked `mark`."""
    bodies = [body for found, body in blocks(text) if found == mark]
    if len(bodies) != 1 or "\n" in bodies[0].strip():
        raise SystemExit(f"README.md must have one block of one line after <!-- {mark} -->, found {bodies}")
    return bodies[0].strip()


if __name__ == "__main__":
    print(line(README.read_text(encoding="utf-8"), sys.argv[1]))
