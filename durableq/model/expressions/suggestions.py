"""Near misses, for errors: the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_NAME_MAX = 64  # comparing longer names costs more than the hint is worth


def did_you_mean(name: str, known: Iterable[str], form: str = "{}") -> str:
    """ "; did you mean x?", or nothing where no name is near. `form` shows how to write it."""
    if len(name) > _NAME_MAX:
        return ""
    by_folded = {candidate.lower(): candidate for candidate in known}
    near = get_close_matches(name.lower(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean {form.format(by_folded[near[0]])}?" if near else ""
