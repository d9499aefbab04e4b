"""Plans of random plays: which acts, each with a seed of its own, so that some can be left out and the others draw the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

Act = tuple[str, int]


def planned(seed: int, acts: int, weights: Mapping[str, int]) -> list[Act]:
    """The acts of a play, each with what it will draw from."""
    rng = Random(seed)
    names = rng.choices(list(weights), list(weights.values()), k=acts)
    return [(name, rng.getrandbits(32)) for name in names]


def shrunk(plan: list[Act], fails: Callable[[list[Act]], bool]) -> list[Act]:
    """A play that still fails, with as many acts left out as a greedy search finds."""
    size = len(plan) // 2
    while size:
        at = 0
        while at < len(plan):
            shorter = plan[:at] + plan[at + size :]
            if fails(shorter):
                plan = shorter
            else:
                at += size
        size //= 2
    return plan
