"""Flow control as text: keys by pressure, what is held back, what was left out, and why a run is not claimed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from durableq.cli import texts
from durableq.services.flow_looks import FunctionFlowView
from durableq.services.flow_views import (
    CONCURRENCY,
    RATE_LIMIT,
    SINGLETON,
    THROTTLE,
    HeldBackView,
    HeldUp,
    LimitsView,
    LimitView,
    OptionView,
    SkipView,
)
from durableq.services.views import RunView
from durableq.words.periods import format_ms

IDEMPOTENCY: Final = "Keys of idempotency are not listed; what they left out, `durableq functions show ID` has."
_KEYS: Final = ("limit", "key", "taken", "parked", "oldest", "opens", "held by")
_OPTIONS: Final = ("option", "now", "key", "")
_HELD_BACK: Final = ("held back", "key", "events", "began", "fires", "run")
_SKIPS: Final = ("left out", "event", "reason", "")
_SHORT: Final = {CONCURRENCY: "parked", THROTTLE: "throttled", SINGLETON: "singleton"}


def limits_text(view: LimitsView) -> str:
    """The keys of several functions, by pressure."""
    if not view.keys:
        return f"no key is in use: nothing is parked, and no limit has anything in hand\n{IDEMPOTENCY}"
    rows = [(", ".join(key.functions), *_key(key, view.now_ms)) for key in view.keys]
    return "\n".join([texts.table(("function", *_KEYS), rows), *_left(view), IDEMPOTENCY])


def function_text(view: FunctionFlowView, now_ms: int) -> str:
    """One function, with its flow control as it stands."""
    blocks = ["\n".join(_head(view, now_ms))]
    if view.options:
        blocks.append(texts.table(_OPTIONS, [_option(option) for option in view.options]))
    if view.limits.keys:
        table = texts.table(_KEYS, [_key(key, view.limits.now_ms) for key in view.limits.keys])
        blocks.append("\n".join([table, *_left(view.limits)]))
    if view.held_back:
        more = [_more(view.held_back_more, "debounce or batch", "debounces and batches")]
        table = texts.table(_HELD_BACK, [_held_back(one, now_ms) for one in view.held_back])
        blocks.append("\n".join([table, *filter(None, more)]))
    if view.skips:
        blocks.append(texts.table(_SKIPS, [_skip(skip) for skip in view.skips]))
    return "\n\n".join(blocks)


def _head(view: FunctionFlowView, now_ms: int) -> Iterator[str]:
    function = view.function
    yield _row("function", function.id + (f"  {function.name}" if function.name != function.id else ""))
    yield _row("triggers", texts.started_by(function.id, function.triggers, ", ") or "-")
    if function.paused:
        meanwhile = "is left out" if function.paused == "skip" else "is queued"
        since = texts.ago(function.paused_at_ms, now_ms)
        yield _row("paused", f"since {since}; what is triggered meanwhile {meanwhile}")
    parked = f"{view.limits.parked:,}{' or more' if view.limits.at_least else ''} parked"
    due = f"{view.due_now:,} due {'when it is resumed' if function.paused else 'now'}"
    queued = f"{function.queued:,} queued" + (f" ({parked}, {due})" if function.queued else "")
    ended = f"{function.completed:,} completed, {function.failed:,} failed, {function.cancelled:,} cancelled"
    yield _row("runs", f"{queued}, {function.waiting:,} waiting, {ended}")
    yield _row("workers", str(function.workers) if function.workers else "none that runs now has this function")
    if view.skipped:
        yield _row("left out", ", ".join(f"{count:,} by {reason}" for reason, count in view.skipped.items()))
    if function.faults:
        yield _row(
            "faults", f"a trigger could not be evaluated {_times(function.faults)}, the last: {function.last_fault}"
        )
    for fault in view.key_faults:
        yield _row("faults", f"{fault.option}: {_times(fault.times)} without a key, the last: {fault.reason}")


def _row(name: str, text: str) -> str:
    return f"{name:<10}{texts.clean(text)}".rstrip()


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _option(option: OptionView) -> tuple[str, ...]:
    return option.option, option.now or "not in force", option.key or "-", option.about


def _key(key: LimitView, now_ms: int) -> tuple[str, ...]:
    shared = "" if key.scope == "function" else f" ({key.scope})"
    parked = f"{key.parked:,}{'+' if key.at_least else ''}" if key.parked else "-"
    return (
        f"{key.kind}{shared}",
        "-" if key.key is None else key.key,
        _taken(key),
        parked,
        format_ms(max(0, now_ms - key.oldest_ms)) if key.oldest_ms else "-",
        f"in {format_ms(key.opens_at_ms - now_ms)}" if key.opens_at_ms > now_ms else "-",
        _holders(key),
    )


def _taken(key: LimitView) -> str:
    per = f" per {format_ms(key.period_ms)}" if key.period_ms else ""
    if key.limit is None:
        return f"{key.taken:,}, no limit now"
    return f"{key.limit:,}{per}" if key.kind == THROTTLE else f"{key.taken:,} of {key.limit:,}{per}"


def _holders(key: LimitView) -> str:
    if key.kind in (THROTTLE, RATE_LIMIT) or not key.holders:
        return "-"
    first = key.holders[0]
    ends = " (cancelled, its code has not ended)" if first.leaving else ""
    more = f" and {key.taken - 1:,} more" if key.taken > 1 else ""
    return f"{first.run}{ends}{more}"


def _left(view: LimitsView) -> Iterator[str]:
    if view.more:
        yield _more(view.more, "key", "keys")
    if view.unseen:
        yield f"{view.unseen:,} keys or runs that may hold slots were not looked at: there are too many"


def _more(count: int, one: str, several: str) -> str:
    return f"and {count:,} more {one if count == 1 else several}" if count else ""


def _held_back(one: HeldBackView, now_ms: int) -> tuple[str, ...]:
    return (
        one.kind,
        "-" if one.key is None else one.key,
        str(one.events),
        texts.ago(one.since_ms, now_ms),
        texts.ahead(one.fires_at_ms, now_ms) if one.fires_at_ms else "no timer: see `durableq doctor`",
        one.run,
    )


def _skip(skip: SkipView) -> tuple[str, ...]:
    event = f"{skip.event_name} {skip.event_id}".strip() or _no_event(skip.place)
    return texts.when(skip.at_ms), event, skip.reason, skip.why


def _no_event(place: str) -> str:
    """What was invoked, a tick, and a rerun have the id of the run that was not started; others their place in the stream."""
    return place if "-" in place else f"no event, run {place}"


def held_up_text(run: RunView, held: HeldUp, now_ms: int) -> str:
    """Why a queued run is not claimed, as its status."""
    of_key = "" if held.key is None else f" of key {held.key!r}"
    ahead = f"; {held.ahead:,} {'run goes' if held.ahead == 1 else 'runs go'} first" if held.ahead else ""
    match held.reason:
        case "paused":
            return f"queued; {run.function} is paused since {texts.when(held.since_ms)}"
        case "throttle":
            until = texts.ahead(held.opens_at_ms, now_ms) if held.opens_at_ms else "its turn"
            return f"queued, throttled{of_key.replace(' of ', ' by ', 1)} until {until}{ahead}"
        case "singleton":
            holder = f"run {held.holders[0].run}" if held.holders else "the run before it"
            return f"queued, waits for the end of {holder} (singleton{of_key.replace(' of', ',', 1)}){ahead}"
    shared = f", which all of the {held.scope} share" if held.scope in ("app", "namespace") else ""
    return f"queued, waits for a slot{of_key}{shared}{_taken_by(held)}{ahead}"


def _taken_by(held: HeldUp) -> str:
    if held.limit is None or held.taken is None:
        return ""
    names = [f"run {holder.run}" for holder in held.holders[:1]]
    if held.taken > 1:
        names.append(f"{held.taken - 1:,} more")
    return f" ({held.taken:,} of {held.limit:,} held{' by ' if names else ''}{' and '.join(names)})"


def listed_status(run: RunView) -> str:
    """The status of a run in a list: of one that is held up with the reason and the key."""
    held = run.held_up
    if held is None:
        return run.status
    key = "" if held.key is None else f" {held.key}"
    return f"{run.status} ({_SHORT.get(held.reason, held.reason)}{key})"
