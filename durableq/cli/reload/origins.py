"""Where a process has imported user code from, besides the working directory."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PACKAGE: Final = str(Path(__file__).parents[2])
_INSTALLED: Final = ("site-packages", "dist-packages")
_STANDARD: Final = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))


def code_directories(root: str) -> list[str]:
    """The directories outside `root` that hold modules imported by now, and those that more could come from.

    Not those of the standard library, of installed packages, and our own.
    """
    return sorted({found for found in _directories() if os.path.isdir(found) and not _within(found, (root,))})


def _directories() -> Iterator[str]:
    candidates = [path for path in sys.path if path]
    for module in list(sys.modules.values()):
        # Anything may stand in sys.modules, and be asked for anything.
        file = vars(module).get("__file__") if isinstance(module, type(sys)) else None
        if isinstance(file, str) and file.endswith(".py"):
            candidates.append(os.path.dirname(file))
    for directory in map(os.path.abspath, candidates):
        installed = any(part in _INSTALLED for part in Path(directory).parts)
        if not installed and not _within(directory, (*_STANDARD, _PACKAGE)):
            yield directory


def _within(path: str, directories: tuple[str, ...]) -> bool:
    return any(path == directory or path.startswith(f"{directory}{os.sep}") for directory in directories)
