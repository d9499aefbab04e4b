"""The Python files whose change means new code, and how to tell that one has changed.

Everything below the working directory, and the directories that a worker's child has imported user code from, each without
what is below it: a module in a home directory must not make the whole of it watched. Not looked into: hidden directories
(.git, .venv, .durableq), virtual environments of any name, installed packages, caches.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterable
from typing import Final

PASSED_OVER: Final = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})
VIRTUAL_ENVIRONMENT: Final = "pyvenv.cfg"

State = tuple[int, int, int]
"""Time of the last change in ns, size, inode: an editor that writes a new file and renames it changes the last."""


def files_below(root: str) -> dict[str, State]:
    """The state of each file below this directory."""
    found: dict[str, State] = {}
    pending = [root]
    while pending:
        files, directories = _listed(pending.pop())
        found.update(files)
        pending += directories
    return found


def files_in(directory: str) -> dict[str, State]:
    """The state of each file directly in this directory."""
    return _listed(directory)[0]


def changed(before: dict[str, State], now: dict[str, State]) -> list[str]:
    """The files that came, went or were written, in order of their names."""
    return sorted(path for path in {*before, *now} if before.get(path) != now.get(path))


def forget_compiled(paths: Iterable[str]) -> None:
    """Remove what Python has compiled from these files.

    It takes a compiled file for current when second and size agree, so the second of two quick saves would not be read.
    """
    for path in paths:
        with contextlib.suppress(OSError, NotImplementedError):
            os.unlink(importlib.util.cache_from_source(path))


def _listed(directory: str) -> tuple[dict[str, State], list[str]]:
    """The files in a directory, and the directories in it that are to be looked into."""
    files: dict[str, State] = {}
    directories: list[str] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name == VIRTUAL_ENVIRONMENT:
                    return {}, []
                if entry.name.startswith(".") or entry.name in PASSED_OVER:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.path)
                elif entry.name.endswith(".py"):
                    with contextlib.suppress(OSError):  # gone since, or a link to nothing
                        state = entry.stat()
                        files[entry.path] = (state.st_mtime_ns, state.st_size, state.st_ino)
    except OSError:
        pass  # gone since, or not ours to read
    return files, directories
