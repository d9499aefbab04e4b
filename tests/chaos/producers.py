"""Producers: they send a mix of programs for as long as they are told to, and never give up on an event."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

import durableq as dq
from tests.acceptance.harness import Stage

MIX = {"one": 40, "chain": 30, "plain": 15, "stubborn": 10, "hopeless": 4, "deadly": 0.3}
"""Programs and how often each is sent."""
FAILING = ("hopeless", "deadly")
"""Those whose runs are meant to fail."""


@dataclass
class Sending:
    """What the producers have seen."""

    errors: int = 0
    unknown: int = 0
    """Events that may have been stored when their send failed; they were sent again."""
    on_their_way: int = 0


async def produce(stage: Stage, chance: Random, per_second: float, sending: Sending, stop: asyncio.Event) -> None:
    """One producer, at about this rate. Every event that was accepted is in `stage.sent` when this returns."""
    client = stage.client()
    names, weights = list(MIX), list(MIX.values())
    while not stop.is_set():
        count = chance.choice((1, 1, 1, 5))
        events = []
        for name in chance.choices(names, weights, k=count):
            data = {"seconds": chance.choice((0, 0.01, 0.1, 0.3, 1)), "nap": chance.choice((0.05, 0.5, 3))}
            events.append(dq.Event(f"work/{name}", data))
        await _send(stage, client, events, sending)
        await asyncio.sleep(chance.expovariate(per_second / count))


async def _send(stage: Stage, client: dq.Client, events: list[dq.Event], sending: Sending) -> None:
    """Send until all are known to be stored. Their ids make sure that none counts twice."""
    sending.on_their_way += len(events)
    left = events
    while left:
        try:
            ids = await client.send(left)
        except dq.SendError as error:
            sending.errors += 1
            sending.unknown += len(error.unknown)
            _note(stage, error.sent)
            left = [*error.not_sent, *error.unknown]
        else:
            stage.sent.update(
                {event_id: event.name.partition("/")[2] for event_id, event in zip(ids, left, strict=True)}
            )
            left = []
    sending.on_their_way -= len(events)


def _note(stage: Stage, events: list[dq.Event]) -> None:
    stage.sent.update({event.id or "": event.name.partition("/")[2] for event in events})
