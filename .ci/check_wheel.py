"""Compares a wheel with the tree: python3 .ci/check_wheel.py WHEEL

Every tracked file of the two packages has to be in the wheel, at its place. Nothing else may be, but the compiled
catalog (which has to be what the compiler makes of the tree's TOML) and the wheel's own metadata.
"""

from __future__ import annotations

import ast
import configparser
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"threaddump": "threaddump", "parsers/threaddump_parsers": "threaddump_parsers"}
CATALOG = "threaddump/catalog"


def tracked(root: Path) -> list[str]:
    """Files under version control or about to be (not ignored), relative to the root, sorted."""
    git = ["git", "-c", "safe.directory=*", "-C", str(root)]
    listed = subprocess.run([*git, "ls-files", "-coz", "--exclude-standard"], check=True, capture_output=True).stdout
    return sorted({name for name in os.fsdecode(listed).split("\0") if name and (root / name).is_file()})


def expected_names(files: Iterable[str]) -> set[str]:
    """Where the wheel has to hold the packages' files."""
    return {
        package + name.removeprefix(folder)
        for name in files
        for folder, package in PACKAGES.items()
        if name.startswith(f"{folder}/")
    }


def compare(expected: set[str], compiled: set[str], actual: Iterable[str]) -> list[str]:
    """What is wrong with the wheel's list of files, as sentences; metadata and directories are left out."""
    names = {name for name in actual if not name.endswith("/")}
    names = {name for name in names if not PurePosixPath(name).parts[0].endswith(".dist-info")}
    return [
        *(f"missing from the wheel: {name}" for name in sorted((expected | compiled) - names)),
        *(f"in the wheel, not in the tree: {name}" for name in sorted(names - expected - compiled)),
    ]


def compiled_catalog(root: Path) -> dict[str, bytes]:
    """What the catalog compiler makes of the tree's TOML: name in the wheel -> content. Leaves the tree alone."""
    compiler = root / CATALOG / "compile.py"
    if not compiler.is_file():
        return {}
    spec = importlib.util.spec_from_file_location("threaddump_catalog_compile", compiler)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data").resolve()
        shutil.copytree(root / CATALOG / "data", data, ignore=shutil.ignore_patterns("*.json"))
        return {
            f"{CATALOG}/data/{output.resolve().relative_to(data).as_posix()}": output.read_bytes()
            for output in module.compile_all(data)
        }


def literal_version(root: Path) -> str:
    """`__version__` of the package, read without importing it."""
    for node in ast.parse((root / "threaddump" / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
            return str(ast.literal_eval(node.value))
    raise SystemExit("threaddump/__init__.py has no literal __version__")


def metadata_problems(wheel: zipfile.ZipFile, version: str) -> list[str]:
    """What is wrong with the wheel's metadata."""
    info = next(name.split("/")[0] for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    scripts = configparser.ConfigParser()
    scripts.read_string(wheel.read(f"{info}/entry_points.txt").decode())
    problems = []
    if metadata["Version"] != version:
        problems.append(f"the wheel's version is {metadata['Version']}, the package's {version}")
    if scripts.get("console_scripts", "threaddump", fallback=None) != "threaddump.cli:main":
        problems.append("the console script `threaddump` is missing")
    if not any(name.startswith(f"{info}/licenses/") for name in wheel.namelist()):
        problems.append("the licence is missing")
    return problems


def main(path: str) -> int:
    """Compare, print what is wrong, return the exit code."""
    expected = expected_names(tracked(ROOT))
    compiled = compiled_catalog(ROOT)
    with zipfile.ZipFile(path) as wheel:
        problems = compare(expected, set(compiled), wheel.namelist())
        if not problems:
            problems = [f"not as in the tree: {name}" for name in sorted(expected) if wheel.read(name) != _source(name)]
            problems += [f"stale: {name}" for name, content in sorted(compiled.items()) if wheel.read(name) != content]
        problems += metadata_problems(wheel, literal_version(ROOT))
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{Path(path).name}: {len(expected)} files of the tree, {len(compiled)} compiled, nothing else")
    return 1 if problems else 0


def _source(name: str) -> bytes:
    """The tree's content of a file of the wheel."""
    for folder, package in PACKAGES.items():
        if name.startswith(f"{package}/"):
            return (ROOT / (folder + name.removeprefix(package))).read_bytes()
    raise KeyError(name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
