"""Figures: what a measurement found, beside what was wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One number of one round."""

    name: str
    """What is measured, unique over all measurements."""
    value: float
    unit: str
    target: float | None = None
    more_is_better: bool = False


@dataclass(frozen=True)
class Summary:
    """One number over all rounds."""

    figure: Figure
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median meets the target; None without one."""
        target = self.figure.target
        if target is None:
            return None
        return self.median >= target if self.figure.more_is_better else self.median <= target

    def to_map(self) -> dict[str, Any]:
        """As it is written to a file."""
        return {
            "name": self.figure.name,
            "unit": self.figure.unit,
            "median": self.median,
            "values": list(self.values),
            "target": self.figure.target,
            "met": self.met,
        }

    def line(self) -> str:
        """As it is shown."""
        figure = self.figure
        spread = ""
        if len(self.values) > 1:
            spread = f"{_shown(min(self.values))} to {_shown(max(self.values))}"
        wanted = "" if figure.target is None else f"{'≥' if figure.more_is_better else '≤'} {_shown(figure.target)}"
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        return f"  {figure.name:<58} {_shown(self.median):>9} {figure.unit:<4} {spread:<22} {wanted:<10} {verdict}".rstrip()


def summaries(rounds: Iterable[Sequence[Figure]]) -> list[Summary]:
    """The figures of several rounds by name, in the order in which they first came."""
    found: dict[str, list[Figure]] = {}
    for figures in rounds:
        for figure in figures:
            found.setdefault(figure.name, []).append(figure)
    return [Summary(same[0], tuple(figure.value for figure in same)) for same in found.values()]


def percentile(values: Sequence[float], fraction: float) -> float:
    """The value below which this fraction lies; values need not be sorted."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def _shown(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value % 1 else f"{value:.0f}"
