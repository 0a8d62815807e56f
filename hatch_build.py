"""Build hook: compiles the TOML catalog to JSON, which loads many times faster, and ships it in the wheel.

It runs for wheels and for editable installs. The compiler is loaded from its file, so that building needs none of
the package's dependencies.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CATALOG = Path("threaddump", "catalog")


class CatalogBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled catalog to the wheel; version control ignores it, so hatch has to be told."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  (hatch's signature)
        root = Path(self.root)
        compiler = root / CATALOG / "compile.py"
        if not compiler.is_file():
            return
        spec = importlib.util.spec_from_file_location("threaddump_catalog_compile", compiler)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up by name
        spec.loader.exec_module(module)
        outputs: list[Path] = module.compile_all(root / CATALOG / "data")
        build_data["artifacts"].extend(
            f"/{output.resolve().relative_to(root.resolve()).as_posix()}" for output in outputs
        )
