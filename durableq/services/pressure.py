"""Keys of limits by pressure: where runs are parked, who holds the slots, how far throttles and rate limits are.

Looked at are the gates where runs wait, what runs in hand hold, and the keys that rate limits have last refused. So a key of
which nobody waits and nobody executes is not listed: it is as good as none.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from durableq.model.gate_names import gate_name
from durableq.services.flow_skips import keys_of
from durableq.services.flow_views import (
    CONCURRENCY,
    RATE_LIMIT,
    SINGLETON,
    THROTTLE,
    HolderView,
    LimitsView,
    LimitView,
)
from durableq.store.calls import Calls
from durableq.store.flow import Flow
from durableq.store.flow_reads import GATES_MAX, PAGE, FlowReads, GateRow, Holding

HOLDERS_SHOWN: Final = 5
SKIPS_LOOKED_AT: Final = 200
RATES_LOOKED_AT: Final = 20
"""Of one function: the keys that its rate limit has last refused."""

_KINDS: Final = {"c": CONCURRENCY, "r": CONCURRENCY, "t": THROTTLE, "z": SINGLETON}
_HOLDS: Final = {"c": "turn", "r": "run"}
_THROTTLE: Final = re.compile(r" t=(\d+)/(\d+)/(\d+) ")
_KEPT: Final = re.compile(r" (?:[1357]\d*|s)=")
_RATE: Final = re.compile(r" l=(\d+)/(\d+) ")


async def limits_view(calls: Calls, functions: Sequence[str], limit: int) -> LimitsView:
    """The keys of these functions (full ids), at most `limit` of them, those under most pressure first."""
    reads = FlowReads(calls)
    now_ms = await reads.now_ms()
    numbers = await reads.numbers(sorted({function.partition("/")[0] for function in functions}))
    blocked = await reads.blocked(functions)
    share = max(PAGE, GATES_MAX // max(1, len(blocked)))
    gates, (in_hand, unseen), rates = await asyncio.gather(
        asyncio.gather(*(reads.gates(function, share) for function in blocked)),
        reads.in_hand(),
        asyncio.gather(*(_rates(calls, reads, function, numbers.get(function, ""), now_ms) for function in functions)),
    )
    waiting = await asyncio.gather(
        *(reads.waiting(function) for function in functions if _keeps(numbers.get(function, "")))
    )
    found: dict[str, LimitView] = {}
    for function, page in zip(blocked, gates, strict=True):
        for row in page.rows:
            _add(found, row.name, _parked(function, row, numbers.get(function, ""), now_ms))
    known = set(functions)
    holdings = [one for some in (in_hand, *(some for some, _ in waiting)) for one in some if one.function in known]
    leaving = {holding.run for holding in holdings if holding.leaving}
    for holding in holdings:
        for name, view in _held(holding, numbers.get(holding.function, "")):
            _add(found, name, view)
    for views in rates:
        found.update({f"l {view.name}": view for view in views})
    ordered = sorted(found.values(), key=_by_pressure)
    shown = await asyncio.gather(*(_with_holders(reads, view, leaving) for view in ordered[:limit]))
    beyond = sum(page.unseen for page in gates)
    return LimitsView(
        tuple(shown),
        max(0, len(ordered) - limit),
        unseen + beyond + sum(more for _, more in waiting),
        sum(view.parked for view in ordered),
        beyond > 0 or any(view.at_least for view in ordered),
        now_ms,
    )


def number_of(numbers: str, letter: str, ordinal: str) -> int | None:
    """How many may have a slot by these numbers; None where there is no such number."""
    if letter == "z":
        return 1
    # A key's expression that is not declared any more obeys what its kind has now (model/flow.py).
    for name in (ordinal, ordinal[:1]):
        found = re.search(rf" {name}=(\d+) ", numbers) if name else None
        if found:
            return int(found[1])
    return None


def opening_ms(numbers: str, stands_ms: float) -> tuple[int | None, int, int]:
    """Of a throttle that stands there: its limit, period, and when the next start may be. None: it was removed."""
    found = _THROTTLE.search(numbers)
    if found is None:
        return None, 0, 0
    limit, period_ms, burst = map(int, found.groups())
    return limit, period_ms, int(stands_ms - (burst - 1) * period_ms / limit + 0.999)


def _keeps(numbers: str) -> bool:
    """Whether waiting runs of a function with these numbers may keep slots: those for a run have odd ordinals."""
    return _KEPT.search(numbers) is not None


def _by_pressure(view: LimitView) -> tuple[Any, ...]:
    oldest = view.oldest_ms or 1 << 60
    return -view.pressure, oldest, -view.taken / max(1, view.limit or 1), view.kind, view.name


def _parked(function: str, row: GateRow, numbers: str, now_ms: int) -> LimitView:
    name = gate_name(row.letter, row.name)
    view = LimitView(
        _KINDS[row.letter],
        name.key,
        name.scope,
        (function,),
        row.number,
        row.taken,
        # Lanes that were not looked into have a run at least, but for those that were cancelled.
        parked=row.runs + row.lanes - row.looked,
        at_least=row.lanes > row.looked,
        oldest_ms=row.oldest_ms,
        oldest_run=row.oldest_run,
        hold=_HOLDS.get(row.letter, ""),
        name=row.name,
    )
    if row.letter != "t":
        return view
    limit, period_ms, opens_ms = opening_ms(numbers, row.stands_ms)
    return replace(view, limit=limit, period_ms=period_ms, opens_at_ms=opens_ms if opens_ms > now_ms else 0)


def _held(holding: Holding, numbers: str) -> Iterable[tuple[str, LimitView]]:
    for letter, ordinal, pool in holding.held:
        name = gate_name(letter, pool)
        number = number_of(numbers, letter, ordinal)
        owner = (holding.function,)
        kind, hold = _KINDS.get(letter, CONCURRENCY), _HOLDS.get(letter, "")
        yield pool, LimitView(kind, name.key, name.scope, owner, number, taken=1, hold=hold, name=pool)


def _add(found: dict[str, LimitView], name: str, view: LimitView) -> None:
    """A pool that several functions share is one."""
    before = found.get(name)
    if before is None:
        found[name] = view
        return
    limits = [limit for limit in (before.limit, view.limit) if limit is not None]
    older = min((before, view), key=lambda one: one.oldest_ms or 1 << 60)
    found[name] = replace(
        before,
        functions=tuple(sorted({*before.functions, *view.functions})),
        limit=min(limits, default=None),
        taken=max(before.taken, view.taken),
        parked=before.parked + view.parked,
        at_least=before.at_least or view.at_least,
        oldest_ms=older.oldest_ms,
        oldest_run=older.oldest_run,
    )


async def _with_holders(reads: FlowReads, view: LimitView, leaving: set[str]) -> LimitView:
    if view.kind not in (CONCURRENCY, SINGLETON):
        return view
    sharers = await reads.sharers(view.name) if view.name.startswith("+") else ()
    taken, holders = await reads.holders(view.name, HOLDERS_SHOWN)
    shown = tuple(HolderView(run, begun_ms, run in leaving) for run, begun_ms in holders)
    functions = tuple(sorted({*view.functions, *sharers}))
    return replace(view, functions=functions, taken=taken, holders=shown)


async def _rates(calls: Calls, reads: FlowReads, function: str, numbers: str, now_ms: int) -> list[LimitView]:
    found = _RATE.search(numbers)
    if found is None:
        return []
    limit, period_ms = map(int, found.groups())
    refused = keys_of(await Flow(calls).skips(function, SKIPS_LOOKED_AT), RATE_LIMIT, RATES_LOOKED_AT)
    names = dict.fromkeys([*refused, f"{function}:"])  # the latter where there is no key
    used = await asyncio.gather(*(reads.window(name, limit, period_ms, now_ms) for name in names))
    return [
        LimitView(
            RATE_LIMIT,
            gate_name("l", name).key,
            "function",
            (function,),
            limit,
            taken,
            opens_at_ms=free_ms,
            period_ms=period_ms,
            name=name,
        )
        for name, (taken, free_ms) in zip(names, used, strict=True)
        if taken
    ]
