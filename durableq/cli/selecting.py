"""Which functions of the loaded apps a worker executes: `--only` and `--except`, globs over short and full ids.

What is executed when a function's run has failed goes where the function goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from durableq.model.function import ON_FAILURE
from durableq.words.errors import ConfigError


def selected(full_ids: Iterable[str], only: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """Those that a glob of `only` matches (all, without one) and no glob of `exclude`.

    Raises:
        ConfigError: A glob matches nothing, or together they leave nothing.
    """
    known = sorted(full_ids)
    for flag, globs in (("--only", only), ("--except", exclude)):
        for glob in globs:
            if not any(_matches(glob, full_id) for full_id in known):
                raise ConfigError(f"{flag} {glob!r} matches no function; there are {_listed(known)}")
    left = [
        full_id
        for full_id in known
        if (not only or any(_matches(glob, full_id) for glob in only))
        and not any(_matches(glob, full_id) for glob in exclude)
    ]
    if not left:
        raise ConfigError(f"--only and --except leave no function; there are {_listed(known)}")
    return left


def _matches(glob: str, full_id: str) -> bool:
    full_id = full_id.removesuffix(ON_FAILURE)
    return fnmatchcase(full_id, glob) or fnmatchcase(full_id.partition("/")[2], glob)


def _listed(known: Sequence[str]) -> str:
    return ", ".join(full_id for full_id in known if not full_id.endswith(ON_FAILURE))
