"""Cancels runs from outside, and takes away at once what hung on them, their children too. Schedulers would within 2 s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from durableq.model.run import State
from durableq.services.committer import Retention
from durableq.store.calls import BATCH, Calls
from durableq.store.cancels import ABSENT, Cancels
from durableq.words.errors import ConfigError, DurableqError, RunNotFound
from durableq.words.ids import is_run_id
from durableq.words.shown import shown

SWEEPS_MAX: Final = 10
"""A thousand children. What is left is the schedulers'."""


class Cancellation(NamedTuple):
    """What asking for it came to."""

    run_id: str
    cancelled: bool
    """Whether the run is cancelled by this. False: it had ended before."""
    status: str
    """`cancelled`, or how it had ended: `completed`, `failed`, also `cancelled`. `absent` for one that is not there."""


async def cancel(calls: Calls, runs: Sequence[str], why: str, within_s: float | None = None) -> list[Cancellation]:
    """Cancel these runs, wherever they are; per run what that came to.

    Raises RedisUnavailable, after which asking again is safe, and StateLost.
    """
    cancels, keep = Cancels(calls), Retention().failed
    found: dict[str, Cancellation] = {run: Cancellation(run, False, ABSENT) for run in runs}
    asked, sweep = [run for run in found if is_run_id(run)], False
    for start in range(0, len(asked), BATCH):
        page = asked[start : start + BATCH]
        done = await cancels.cancel_runs(page, why, keep, within_s)
        sweep = sweep or done.sweep
        for run, state in zip(page, done.runs, strict=True):
            if state is None:
                found[run] = Cancellation(run, True, State.CANCELLED.label)
            elif isinstance(state, State):
                found[run] = Cancellation(run, False, state.label)
    if sweep:
        await _sweep(cancels, keep)
    return [found[run] for run in runs]


async def _sweep(cancels: Cancels, keep: int) -> None:
    try:
        for _ in range(SWEEPS_MAX):
            if not await cancels.sweep_ended(keep_failed=keep):
                return
    except DurableqError:
        return  # the runs are cancelled, and that was asked for


def runs_given(runs: object, verb: str = "cancel") -> list[str]:
    """One run id or several, as a list. Raises ConfigError."""
    listed = [runs] if isinstance(runs, str) else runs
    if isinstance(listed, (bytes, dict)) or not isinstance(listed, Sequence):
        raise ConfigError(f"{verb} takes a run id or a list of them, not {type(runs).__name__}: {shown(runs)}")
    for run in listed:
        if not isinstance(run, str):
            raise ConfigError(f"a run id is text, as handle.run_id is, not {type(run).__name__}: {shown(run)}")
    return list(listed)


def check_there(found: Sequence[Cancellation], namespace: str) -> None:
    """Raise RunNotFound, which names them, if any of the runs is not there. The others are cancelled all the same."""
    absent = [repr(one.run_id) for one in found if one.status == ABSENT]
    if absent:
        named = f"{', '.join(absent[:10])}{' …' if len(absent) > 10 else ''}"
        others = len(found) - len(absent)
        seen_to = f". The other {others} {'was' if others == 1 else 'were'} seen to" if others else ""
        raise RunNotFound(f"no run {named} in namespace {namespace!r}: never there, or its retention is over{seen_to}")
