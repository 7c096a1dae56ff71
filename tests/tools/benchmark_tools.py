"""Scripts of benchmarks/ as modules, for tests of what they compute."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from workflow_tools import REPOSITORY


def script(name: str) -> Any:
    """Return benchmarks/NAME.py as a module, the folder on the path only while it is loaded."""
    folder = REPOSITORY / "benchmarks"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module
