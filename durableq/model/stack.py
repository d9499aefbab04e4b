"""Stacks as a user wants to read them: their own frames, the causes in short, and never too much.

Reading a stack must not fail, whatever the exception does when it is asked for its text.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import linecache
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from traceback import walk_tb
from types import FrameType, TracebackType

STACK_MAX = 32 * 1024
_TEXT_MAX = 500  # of a cause or a note
_FRAMES_MAX = 40  # half from each end: a runaway recursion says all it has to say there
_CAUSES_MAX = 5
_LEAVES_MAX = 10

_Frame = tuple[FrameType, int]
_FRAME = re.compile(r'  File "(.*)", line (\d+), in ')
_STANDARD = f"{Path(os.__file__).parent}{os.sep}"
_INSTALLED = ("site-packages", "dist-packages")


def _folder(module: str) -> str:
    return str(Path(module).parent) + "/"


# Whose frames are not the user's: durableq's own, and the loop and thread pools that it calls user code through.
_OURS = (_folder(str(Path(__file__).parent)), _folder(asyncio.__file__), _folder(concurrent.futures.__file__))
_OUR_FILES = (threading.__file__, "<frozen runpy>")


def text_of(error: BaseException, limit: int) -> str:
    """`str(error)` as text that can be stored, at most `limit` bytes of it."""
    try:
        return cut(str(error), limit)
    except BaseException as failure:  # SystemExit too, which would end the worker
        return f"<{type(error).__name__:.100} whose text cannot be had: {type(failure).__name__:.100}>"


def cut(text: str, limit: int) -> str:
    """At most `limit` bytes of the text in UTF-8; lone surrogates are written as escapes."""
    kept = text[:limit]
    data = kept.encode("utf-8", "backslashreplace")
    if len(data) <= limit and len(kept) == len(text):
        return data.decode()
    mark = f" … ({len(text):,} characters)"
    return data[: limit - len(mark.encode())].decode("utf-8", "ignore") + mark


def stack_of(error: BaseException) -> str:
    """The user's frames, then the error; below it what it was raised from, or the errors in a group."""
    return cut("\n".join(_lines(error)), STACK_MAX)


def own_line(stack: str) -> str:
    """`file:line` of the innermost frame in this stack that is neither the standard library's nor an installed package's.

    "" for a stack without frames; where all frames are others', the innermost.
    """
    met: list[str] = []
    own: list[str] = []
    for line in stack.splitlines():
        frame = _FRAME.match(line)
        if frame:
            met.append(f"{frame[1]}:{frame[2]}")
            if not frame[1].startswith(_STANDARD) and not any(part in _INSTALLED for part in Path(frame[1]).parts):
                own.append(met[-1])
        elif met and not line.startswith(" "):
            break  # what follows the error is what caused it
    return (own or met or [""])[-1]


def leaves(error: BaseException, limit: int = _LEAVES_MAX) -> list[BaseException]:
    """The errors in an exception group, of groups in it too, at most `limit`; for any other error, itself."""
    found: list[BaseException] = []
    pending = [error]
    while pending and len(found) < limit:
        met = pending.pop()
        if isinstance(met, BaseExceptionGroup):
            pending.extend(reversed(met.exceptions))
        else:
            found.append(met)
    return found


def _lines(error: BaseException) -> Iterator[str]:
    yield from _frame_lines(error.__traceback__)
    yield _headline(error)
    yield from _notes(error)
    if isinstance(error, BaseExceptionGroup):
        for leaf in leaves(error):
            yield "\nin the group:"
            yield from _frame_lines(leaf.__traceback__)
            yield _headline(leaf)
            yield from _notes(leaf)
    for how, cause in _causes(error):
        yield f"\n{how}:"
        yield from _frame_lines(cause.__traceback__)
        yield _headline(cause)


def _causes(error: BaseException) -> Iterator[tuple[str, BaseException]]:
    seen = {id(error)}
    for _ in range(_CAUSES_MAX):
        if error.__cause__ is not None:
            how, found = "caused by", error.__cause__
        elif error.__context__ is not None and not error.__suppress_context__:
            how, found = "while handling", error.__context__
        else:
            return
        if id(found) in seen:
            return
        seen.add(id(found))
        yield how, found
        error = found


def _headline(error: BaseException) -> str:
    text = text_of(error, _TEXT_MAX)
    return f"{type(error).__qualname__}: {text}" if text else type(error).__qualname__


def _notes(error: BaseException) -> Iterator[str]:
    notes = getattr(error, "__notes__", None)
    if isinstance(notes, list):
        for note in notes[:_CAUSES_MAX]:
            if isinstance(note, str):
                yield cut(note, _TEXT_MAX)


def _frame_lines(traceback: TracebackType | None) -> Iterator[str]:
    frames = [frame for frame in walk_tb(traceback) if _is_users(frame[0])]
    if len(frames) <= _FRAMES_MAX:
        yield from map(_frame_text, frames)
        return
    half = _FRAMES_MAX // 2
    yield from map(_frame_text, frames[:half])
    yield f"  … {len(frames) - _FRAMES_MAX:,} frames left out …"
    yield from map(_frame_text, frames[-half:])


def _is_users(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    return not name.startswith(_OURS) and name not in _OUR_FILES


def _frame_text(frame: _Frame) -> str:
    code, line = frame[0].f_code, frame[1] or 0
    place = f'  File "{code.co_filename}", line {line}, in {code.co_qualname}'
    try:
        source = linecache.getline(code.co_filename, line, frame[0].f_globals).strip()
    except Exception:  # a loader of the user's own is asked for the line
        source = ""
    return f"{place}\n    {source[:200]}" if source else place
