"""One function with its flow control: what is held, parked, held back and left out now; and why a queued run is not claimed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from durableq.model.gate_names import gate_name
from durableq.services.flow_options import options_view
from durableq.services.flow_skips import skips_of
from durableq.services.flow_views import (
    THROTTLE,
    HeldBackView,
    HeldUp,
    HolderView,
    KeyFault,
    LimitsView,
    OptionView,
    SkipView,
)
from durableq.services.pausing import paused_functions
from durableq.services.pressure import HOLDERS_SHOWN, limits_view, number_of, opening_ms
from durableq.services.starting import not_found
from durableq.services.views import FunctionView, RunView, function_views
from durableq.store.calls import Calls
from durableq.store.crons import Crons
from durableq.store.flow import Flow
from durableq.store.flow_reads import FlowReads, Standing
from durableq.store.reads import Reads
from durableq.store.registry import Registry
from durableq.words import codec
from durableq.words.errors import ConfigError

_KIND: Final = {"D": "debounce", "B": "batch"}
_REASONS: Final = {"t": THROTTLE, "z": "singleton"}


@dataclass(frozen=True, slots=True)
class FunctionFlowView:
    """A function with its flow control as it stands. Lists are cut; what was left out of them is counted."""

    function: FunctionView
    options: tuple[OptionView, ...]
    limits: LimitsView
    held_back: tuple[HeldBackView, ...]
    """Debounces and batches that are pending, those first that began first."""
    held_back_more: int
    skips: tuple[SkipView, ...]
    """The newest triggers that started nothing."""
    skipped: Mapping[str, int]
    """How many there were, by reason, since the function is registered."""
    key_faults: tuple[KeyFault, ...] = ()

    @property
    def due_now(self) -> int:
        """Queued runs that no limit holds up: the next claim takes them, unless the function is paused."""
        return max(0, self.function.queued - self.limits.parked)


async def function_flow(calls: Calls, function: str, limit: int) -> FunctionFlowView:
    """A function by its full id, with at most `limit` of each list. Raises FunctionNotFound."""
    registry, flow, reads = Registry(calls), Flow(calls), FlowReads(calls)
    views = await function_views(registry, Reads(calls), Crons(calls), flow, [function])
    if not views:
        raise not_found(function, (await registry.read())[1], calls.keys.namespace)
    app, _, name = function.partition("/")
    (declared, _), numbers, counts, faults = await asyncio.gather(
        registry.declared(app), reads.numbers([app]), flow.skipped(app), registry.key_faults()
    )
    limits, (pending, held), skips = await asyncio.gather(
        limits_view(calls, [function], limit),
        held_back_views(reads, function, limit),
        skips_of(flow, reads, function, limit),
    )
    options = options_view(codec.decode(declared[name]) if name in declared else {}, numbers.get(function, ""))
    return FunctionFlowView(
        views[0],
        options,
        limits,
        held,
        max(0, pending - len(held)),
        skips,
        {reason: count for (of, reason), count in sorted(counts.items()) if of == name},
        tuple(
            KeyFault(option, noted.times, noted.at_ms, noted.reason)
            for option, noted in sorted(faults.get(function, {}).items())
        ),
    )


async def limits_of(calls: Calls, app: str, function: str, limit: int) -> LimitsView:
    """Keys of limits by pressure: of one function, by its full id; of one app; or, with "" for both, of the namespace.

    Raises FunctionNotFound, or ConfigError for an app of which nothing is registered.
    """
    declarations = (await Registry(calls).read())[1]
    known = sorted({*declarations, *await Reads(calls).functions_with_runs()})
    apps = sorted({one.partition("/")[0] for one in known})
    if app and app not in apps:
        there = f"there are {', '.join(apps)}" if apps else "there is none"
        raise ConfigError(f"no function of an app {app!r} is registered in namespace {calls.keys.namespace!r}: {there}")
    if function and function not in known:
        raise not_found(function, declarations, calls.keys.namespace)
    wanted = [one for one in known if function in ("", one) and app in ("", one.partition("/")[0])]
    return await limits_view(calls, wanted, limit)


async def held_back_views(reads: FlowReads, function: str, limit: int) -> tuple[int, tuple[HeldBackView, ...]]:
    """How many debounces and batches of a function are pending, and the first of them."""
    pending, rows = await reads.held_back(function, limit)
    views = (
        HeldBackView(
            function,
            _KIND[row.letter],
            gate_name(row.letter.lower(), row.key).key,
            row.since_ms,
            row.fires_ms,
            row.events,
            row.run,
            row.place,
        )
        for row in rows
    )
    return pending, tuple(views)


async def with_hold_ups(calls: Calls, runs: Sequence[RunView], *, holders: bool = False) -> list[RunView]:
    """The same runs; those that are queued and not claimed because of a limit or a pause say so."""
    queued = [(run.id, run.function) for run in runs if run.status == "queued"]
    if not queued:
        return list(runs)
    reads = FlowReads(calls)
    functions = sorted({function for _, function in queued})
    standings, numbers, paused = await asyncio.gather(
        reads.standings(queued),
        reads.numbers(sorted({function.partition("/")[0] for function in functions})),
        paused_functions(Flow(calls), functions),
    )
    hold_ups: dict[str, HeldUp] = {}
    for run, function in queued:
        if function in paused:
            hold_ups[run] = HeldUp("paused", since_ms=paused[function][1])
        elif run in standings:
            hold_ups[run] = await _held_up(reads, standings[run], numbers.get(function, ""), holders)
    return [replace(run, held_up=hold_ups.get(run.id)) for run in runs]


async def _held_up(reads: FlowReads, standing: Standing, numbers: str, holders: bool) -> HeldUp:
    name = gate_name(standing.letter, standing.name)
    reason = _REASONS.get(standing.letter, "concurrency")
    if standing.letter == "t":
        stands_ms = await reads.opening(standing.name) if holders else 0
        limit, _, opens_ms = opening_ms(numbers, stands_ms)
        return HeldUp(reason, name.key, limit, opens_at_ms=opens_ms if stands_ms else 0, ahead=standing.ahead)
    taken, found = await reads.holders(standing.name, HOLDERS_SHOWN) if holders else (None, [])
    return HeldUp(
        reason,
        name.key,
        number_of(numbers, standing.letter, standing.ordinal),
        taken,
        tuple(HolderView(run, begun_ms) for run, begun_ms in found),
        ahead=standing.ahead,
        scope=name.scope,
    )
