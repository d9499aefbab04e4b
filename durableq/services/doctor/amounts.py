"""Figures as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from durableq.words.periods import format_ms


def size(amount: float) -> str:
    """Bytes: 640 KB, 12.3 MB, 1.5 GB."""
    for unit, factor in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if amount >= factor:
            return f"{amount / factor:.3g} {unit}" if amount < 1000 * factor else f"{amount / factor:,.0f} {unit}"
    return f"{amount:.0f} bytes"


def count(number: int, one: str, many: str = "") -> str:
    """1 run, 2,000 runs."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def since(then_ms: float, now_ms: float) -> str:
    """How long ago: 12s, 1h30m."""
    return format_ms(max(0, now_ms - then_ms))


def some(names: Sequence[str], most: int = 5) -> str:
    """The first few, and how many more there are."""
    listed = ", ".join(names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most:,} more"


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that this part of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
