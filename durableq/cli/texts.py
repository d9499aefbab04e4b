"""How things look to people: aligned columns, local times, short lengths, one line per value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from durableq.cli.plain import plain
from durableq.model.function import ON_FAILURE
from durableq.words.periods import format_ms


def table(head: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Columns as wide as their widest cell, two spaces between them, nothing behind the last."""
    cells = [list(head), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join((indent + line).rstrip() for line in lines)


def clean(text: str) -> str:
    """Text that cannot move the cursor or colour the screen, whoever wrote it: an id and a message may be any text."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def clean_lines(text: str, indent: str) -> str:
    """The same, of text with lines of its own."""
    return "\n".join(indent + clean(line) for line in text.splitlines())


def when(at_ms: int) -> str:
    """A point in time, in this machine's zone."""
    return datetime.fromtimestamp(at_ms / 1000).isoformat(" ", "milliseconds") if at_ms else "-"


def length(length_ms: int) -> str:
    """A length of time: 4 ms, 1.02 s, 2h10m."""
    if length_ms < 1000:
        return f"{max(0, length_ms)} ms"
    return f"{length_ms / 1000:.2f} s" if length_ms < 60_000 else format_ms(length_ms)


def ahead(due_at_ms: int, now_ms: int) -> str:
    """A point in time to come, with how far it is."""
    left_ms = due_at_ms - now_ms
    return f"{when(due_at_ms)} ({f'in {format_ms(left_ms)}' if left_ms > 0 else 'due now'})"


def ago(at_ms: int, now_ms: int) -> str:
    """A point in time that has passed, with how long ago that was."""
    return f"{when(at_ms)} ({format_ms(max(0, now_ms - at_ms))} ago)" if at_ms else "-"


def value(recorded: Any, limit: int) -> str:
    """A recorded value on one line, cut after `limit` characters."""
    text = clean(json.dumps(plain(recorded), ensure_ascii=False))
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def started_by(function: str, triggers: Sequence[str], between: str) -> str:
    """What starts a function, given by its full id. Of a failure handler's trigger, which was written by us, what it means."""
    if function.endswith(ON_FAILURE):
        return f"a failure of {function.removesuffix(ON_FAILURE)}"
    return between.join(triggers)
