"""Imports every module of threaddump_parsers, and `import threaddump`, where no third-party package can be found.

Run by `python3 -I -S`: no environment, no site-packages.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Import them, and say how many; an import that fails ends the run with its traceback."""
    if any("site-packages" in path or "dist-packages" in path for path in sys.path):
        sys.exit("run this as: python3 -I -S .ci/check_imports.py")
    sys.path.insert(0, str(ROOT / "parsers"))
    package = import_module("threaddump_parsers")
    names = [info.name for info in walk_packages(package.__path__, "threaddump_parsers.")]
    for name in names:
        import_module(name)
    if "threaddump" in sys.modules:
        sys.exit("threaddump_parsers imports threaddump; imports go the other way")
    sys.path.insert(0, str(ROOT))
    import_module("threaddump")
    print(f"threaddump and {len(names) + 1} modules of threaddump_parsers import with the standard library alone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
