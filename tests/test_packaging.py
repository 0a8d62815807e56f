"""What the distribution promises: contents of the wheel, direction of imports, what an import costs.

The slow half, building a wheel and running it, is in .ci/run; the comparison that it uses is tested here.
"""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARSERS = ROOT / "parsers" / "threaddump_parsers"
PRODUCT = ROOT / "threaddump"
MODULES = sorted([*PARSERS.rglob("*.py"), *PRODUCT.rglob("*.py")])
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    root = PARSERS.parent if path.is_relative_to(PARSERS) else ROOT
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Modules that a module imports, wherever in it; relative imports made absolute."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = name_of(path).split(".")
                package = here if path.name == "__init__.py" else here[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def check_wheel() -> ModuleType:
    return load(ROOT / ".ci" / "check_wheel.py")


# --- modules


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_has_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_imports_the_folder_of_the_parsers(path: Path) -> None:
    assert not [name for name in imports(path) if within(name, "parsers")]


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(PARSERS)], ids=name_of)
def test_parsers_import_the_standard_library_and_each_other(path: Path) -> None:
    own = {"threaddump_parsers", *sys.stdlib_module_names}
    assert not [name for name in imports(path) if name.partition(".")[0] not in own]


# Who must not be imported by whom, below the rule that the command line is imported by nobody. A report's values
# (report.py) belong to everybody.
ABOVE = {
    "threaddump.catalog": ["threaddump.classify", "threaddump.waits", "threaddump.findings", "threaddump.reports"],
    "threaddump.classify": ["threaddump.code", "threaddump.waits", "threaddump.findings", "threaddump.reports"],
    "threaddump.code": ["threaddump.waits", "threaddump.findings", "threaddump.reports"],
    "threaddump.waits": ["threaddump.findings", "threaddump.reports"],
    "threaddump.findings": ["threaddump.reports"],
    "threaddump.reports": ["threaddump.findings", "threaddump.intake", "threaddump.sources"],
}


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(PRODUCT)], ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    name = name_of(path)
    banned = [above for package, higher in ABOVE.items() if within(name, package) for above in higher]
    if name not in {"threaddump.cli", "threaddump.__main__"} and not within(name, "threaddump.cli"):
        banned.append("threaddump.cli")
    assert not [found for found in imports(path) if any(within(found, package) for package in banned)]


@pytest.mark.parametrize("folder", [PRODUCT, PARSERS], ids=name_of)
def test_package_says_that_it_is_typed(folder: Path) -> None:
    assert (folder / "py.typed").is_file()


@pytest.mark.parametrize("package", ["threaddump", "threaddump_parsers"])
def test_importing_the_package_is_cheap(package: str) -> None:
    heavy = ["typer", "rich", "psutil", "pydantic", "jinja2", "concurrent.futures", "importlib.metadata"]
    script = f"import {package}, sys; print(*[name for name in {heavy} if name in sys.modules])"
    run = [sys.executable, "-I", "-c", script]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.split() == []


def test_version_is_a_literal_and_the_installed_one(check_wheel: ModuleType) -> None:
    from importlib.metadata import version

    assert check_wheel.literal_version(ROOT) == version("threaddump")


# --- pyproject


def test_the_test_extra_is_the_test_group() -> None:
    assert PYPROJECT["project"]["optional-dependencies"]["test"] == PYPROJECT["dependency-groups"]["test"]


def test_each_runtime_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.partition("\ndependencies = [\n")[2].partition("\n]")[0]
    assert len(block.splitlines()) == len(PYPROJECT["project"]["dependencies"])
    assert all("  # " in line for line in block.splitlines())


def test_console_script_exists() -> None:
    module, _, function = PYPROJECT["project"]["scripts"]["threaddump"].partition(":")
    tree = ast.parse((ROOT / module.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


# --- wheel


def test_expected_names_follow_the_source_roots(check_wheel: ModuleType) -> None:
    files = [
        "README.md",
        "threaddump/explain/find.py",
        "threaddump/catalog/data/jvm/http.toml",
        "parsers/threaddump_parsers/model.py",
        "parsers/notes.txt",
        "tests/threaddump/test_cli.py",
    ]
    assert check_wheel.expected_names(files) == {
        "threaddump/explain/find.py",
        "threaddump/catalog/data/jvm/http.toml",
        "threaddump_parsers/model.py",
    }


def test_compare_accepts_the_tree_the_compiled_catalog_and_metadata(check_wheel: ModuleType) -> None:
    actual = ["a/x.py", "a/data/jvm.json", "threaddump-0.1.0.dist-info/RECORD", "a/"]
    assert check_wheel.compare({"a/x.py"}, {"a/data/jvm.json"}, actual) == []


@pytest.mark.parametrize(
    ("actual", "problem"),
    [
        (["a/x.py"], "missing from the wheel: a/data/jvm.json"),
        (["a/data/jvm.json"], "missing from the wheel: a/x.py"),
        (["a/x.py", "a/data/jvm.json", "tests/t.py"], "in the wheel, not in the tree: tests/t.py"),
        (["a/x.py", "a/data/jvm.json", "a/data/old.json"], "in the wheel, not in the tree: a/data/old.json"),
    ],
)
def test_compare_names_what_is_wrong(check_wheel: ModuleType, actual: list[str], problem: str) -> None:
    assert check_wheel.compare({"a/x.py"}, {"a/data/jvm.json"}, actual) == [problem]


def test_compiled_catalog_covers_each_runtime_and_leaves_the_tree_alone(check_wheel: ModuleType) -> None:
    data = PRODUCT / "catalog" / "data"
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    compiled = check_wheel.compiled_catalog(ROOT)
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before
    families = {path.name for path in data.iterdir() if path.is_dir()} - {"libraries"}
    assert {f"threaddump/catalog/data/{family}.json" for family in families} <= compiled.keys()
