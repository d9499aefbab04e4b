"""Why an app could not be loaded, as a person who wrote it wants to read it: the line of theirs, and what is wrong there.

Our own frames tell that person nothing, so no traceback is printed; an error that is not ours keeps its class name.
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Final, NamedTuple

from durableq.words.errors import ConfigError, DurableqError

_PACKAGE: Final = f"{Path(__file__).parents[1]}{os.sep}"
_STANDARD: Final = f"{Path(os.__file__).parent}{os.sep}"
_INSTALLED: Final = ("site-packages", "dist-packages")


class Reason(NamedTuple):
    """One thing that is wrong: `where` is `file:line` of the user's code, "" if the fault is in no line of it."""

    where: str
    text: str
    error: BaseException

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


class AppsRefused(ConfigError):
    """Apps cannot be loaded. `reasons` are all that were found; mend the lines that they name."""

    def __init__(self, reasons: list[Reason]) -> None:
        self.reasons = reasons
        one = len(reasons) == 1
        super().__init__(str(reasons[0]) if one else f"{len(reasons)} reasons:" + "".join(f"\n- {r}" for r in reasons))


def reason_of(error: BaseException) -> Reason:
    """What an import raised, with the innermost line of the user's own code."""
    text = str(error) if isinstance(error, DurableqError) else f"{type(error).__name__}: {error}".removesuffix(": ")
    if isinstance(error, SyntaxError):
        # Its text ends in "(file, line 3)", which `where` says better.
        return Reason(_place(error.filename or "", error.lineno or 0), f"{type(error).__name__}: {error.msg}", error)
    return Reason(_innermost(error), text, error)


def _innermost(error: BaseException) -> str:
    frames = [
        (frame.filename, frame.lineno or 0)
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_PACKAGE, "<"))
    ]
    # An app may be installed itself: then the innermost line that is not of the standard library.
    chosen = [frame for frame in frames if is_users(frame[0])] or [
        frame for frame in frames if not frame[0].startswith(_STANDARD) or _in_packages(frame[0])
    ]
    return _place(*chosen[-1]) if chosen else ""


def is_users(path: str) -> bool:
    """Whether this file is the user's own: neither ours, nor Python's, nor of an installed package."""
    return not path.startswith((_PACKAGE, _STANDARD)) and not _in_packages(path)


def _in_packages(path: str) -> bool:
    return any(part in _INSTALLED for part in Path(path).parts)


def _place(path: str, line: int) -> str:
    if not path:
        return ""
    below = os.path.relpath(path)
    return f"{path if below.startswith('..') else below}:{line}"
