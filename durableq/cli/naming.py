"""Runs and functions as people name them at a prompt: the end of a run's id, a function's short id."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

from durableq.client import Client
from durableq.runs import LIST_MAX
from durableq.words.errors import DurableqError

RUN_TAIL: Final = 6
"""As much of an id as the log of `durableq dev` shows."""
RUN_ID_LENGTH: Final = 26


class AmbiguousRun(DurableqError):
    """Several runs have an id that ends like that. The message names them."""


class UnknownFunction(DurableqError):
    """No function has this id. The message says which is near, or how to list them."""


async def whole_id(client: Client, given: str) -> str:
    """The id of the one run whose id ends so, or what was given.

    Raises AmbiguousRun when there are several.
    """
    if not RUN_TAIL <= len(given) < RUN_ID_LENGTH:
        return given
    ending = given.upper()
    meant = [run for run in await client.runs.list(limit=LIST_MAX) if run.id.endswith(ending)]
    if len(meant) > 1:
        named = ", ".join(f"{run.id} ({run.function})" for run in meant[:5])
        raise AmbiguousRun(f"{given!r} is the end of {len(meant)} ids: name one of {named}")
    return meant[0].id if meant else given


def full_id(given: str, known: Sequence[str], what: str) -> str:
    """The full id of a function given by its full or short id. `what` names the argument in errors.

    Raises UnknownFunction for one that is not among those known, or a short id that two apps have.
    """
    if given in known:
        return given
    meant = [full for full in known if full.partition("/")[2] == given]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise UnknownFunction(f"{what} {given!r} is a function of several apps: write one of {', '.join(meant)}")
    near = difflib.get_close_matches(given, [*known, *(full.partition("/")[2] for full in known)], 1)
    hint = f"did you mean {near[0]!r}?" if near else "`durableq functions` lists those that are registered"
    raise UnknownFunction(f"{what} {given!r}: no such function here; {hint}")
