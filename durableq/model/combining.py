"""Which options of a function go together. What cannot work, or would do nothing, is refused with the reason and a way out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from durableq.model.cancelling import CancelOn
from durableq.model.cron import Due, tick_event
from durableq.model.expressions import compile_expression
from durableq.model.flow_options import FlowOptions
from durableq.model.trigger import CronTrigger, EventTrigger, Trigger
from durableq.words.errors import ConfigError

_NOT_WITH_BATCH: Final = {
    "debounce": "one keeps all events, the other only the newest. Take the last of ctx.events instead of the debounce, or "
    "leave out the batch",
    "singleton": "a batch that is skipped or cancelled would lose its events. Concurrency(1, hold='run') with the same key "
    "makes them wait instead",
    "priority": "its events would each ask for another place. Declare a function for those that are urgent, with a trigger "
    "whose if_ says which",
    "cancel_on": "an event that cancels one of its events would cancel all of them. Look at ctx.events in the function, or "
    "wait in a function of its own that this one invokes for each",
}


def check_together(
    where: str, function: str, flow: FlowOptions, triggers: Sequence[Trigger], cancel_on: Sequence[CancelOn]
) -> None:
    """Raise ConfigError for options that do not go together. `function` is the short id."""
    if flow.batch is not None:
        given = {
            "debounce": flow.debounce,
            "singleton": flow.singleton,
            "priority": flow.priority,
            "cancel_on": cancel_on,
        }
        for option, reason in _NOT_WITH_BATCH.items():
            if given[option]:
                raise ConfigError(f"{where}: batch and {option} do not go together: {reason}")
    if not any(isinstance(trigger, EventTrigger) for trigger in triggers):
        _check_without_events(where, function, flow, [one for one in triggers if isinstance(one, CronTrigger)])


def _check_without_events(where: str, function: str, flow: FlowOptions, crons: Sequence[CronTrigger]) -> None:
    for option in ("debounce", "batch"):
        if getattr(flow, option) is not None:
            raise ConfigError(
                f"{where}: {option} holds back events, and no trigger of this function is an EventTrigger: ticks and invokes "
                f"are runs at once. Give it one, or leave {option} out"
            )
    if not crons:
        return  # what invokes bring along is not known
    ticks = [{"event": _tick(function, cron)} for cron in crons]
    expressions = list(flow.keys())
    if flow.priority is not None:
        expressions.append(("priority", flow.priority))
    for option, source in expressions:
        expression = compile_expression(source)
        if all(expression.value(tick) is None for tick in ticks):
            raise ConfigError(
                f"{where}: {option} {source!r} comes to nothing for every tick, and this function has only cron triggers. "
                "data of a tick has cron, timezone, scheduled_at, due_at, function_id and app_id; for what is invoked as "
                f"well, say what a tick stands for: \"has(event.data.x) ? event.data.x : 'tick'\""
            )


def _tick(function: str, cron: CronTrigger) -> dict[str, Any]:
    """Some tick, as expressions see it."""
    event = tick_event(f"app/{function}", cron.key, cron.cron, cron.timezone, Due(0, 0))
    return {"name": event.name, "data": event.data, "id": event.id, "ts": 0, "user": None, "v": None}
