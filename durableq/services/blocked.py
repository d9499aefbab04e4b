"""Names the line that keeps a child's loop from turning, even while it holds the GIL.

The child arms faulthandler's C thread at every turn of its beat; when the beat does not come, that thread writes the stacks
of all threads to a pipe without needing the GIL, and the parent reads the line out of them.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import NamedTuple

_THREAD = re.compile(r"^(?:Current thread|Thread) 0x0*([0-9a-f]+)")
_FRAME = re.compile(r'^ {2}File "(.+)", line (\d+) in (.+)$')
_STANDARD = str(Path(asyncio.__file__).parents[1])
_LOOP = (
    f"{_STANDARD}/asyncio/",
    f"{_STANDARD}/selectors.py",
    f"{Path(__file__).parents[1]}/",
    "/site-packages/uvloop/",
    "<frozen",
)
_INSTALLED = ("/lib/python3.", "/lib64/python3.", "/site-packages/")


class Blocked(NamedTuple):
    """Where a thread stood: the innermost line, and the innermost line of the user's own code, "" if in none."""

    line: str
    user_line: str


def blocking_line(dump: str, thread: int) -> Blocked | None:
    """Read a faulthandler dump for one thread, given by its ident."""
    wanted = False
    frames: list[tuple[str, str]] = []
    for text in dump.splitlines():
        head = _THREAD.match(text)
        if head:
            wanted = int(head[1], 16) == thread
            if wanted:
                frames = []
        elif wanted and (frame := _FRAME.match(text)):
            frames.append((frame[1], f"{frame[1]}:{frame[2]} in {frame[3]}"))
    if not frames:
        return None
    above = [(path, line) for path, line in frames if not any(part in path for part in _LOOP)]
    own = [line for path, line in above if not any(part in path for part in _INSTALLED)]
    # The user's code may be installed as well: then the innermost line that is not the loop's.
    return Blocked(frames[0][1], (own or [line for _, line in above] or [""])[0])
