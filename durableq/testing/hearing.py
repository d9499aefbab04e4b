"""Who listens to an event that a test sends: functions that it starts or cancels, runs that wait for it, or will.

A wait sees events that came before it, from its run's own on, so while a run is not final nobody can tell yet that an event is
heard by none: what no run has waited for by the end of the environment was.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from durableq.app import App
from durableq.model.routing import NEAR, RoutingTable
from durableq.model.run import FINAL, State
from durableq.store.calls import Calls
from durableq.store.reads import Reads


class Hearing:
    """Of one environment."""

    def __init__(self, apps: Sequence[App], table: RoutingTable) -> None:
        self._table = table
        self._functions = [function.full_id for app in apps for function in app.functions.values()]
        self._cancels = {one.event for app in apps for function in app.functions.values() for one in function.cancel_on}
        self.doubtful: dict[str, None] = {}
        """Names of events that were sent while nobody listened, and that a run may have come to wait for since."""

    def declared(self, name: str) -> bool:
        """Whether it starts a function, or cancels runs of one."""
        return name in self._cancels or self._table.hears(name)

    async def awaited(self, calls: Calls) -> list[str]:
        """The names that runs wait for, or did."""
        return [name.decode() for name in await calls.read("ZRANGE", calls.key("names"), 0, -1)]

    async def doubts(self, calls: Calls) -> bool:
        """Whether a run may still come to wait for something: one that is not final, or an event that is not routed yet."""
        meta: dict[str, Any] = await Reads(calls).namespace()
        if meta.get("sent", "0") != meta.get("routed", "0"):
            return True
        return bool(await Reads(calls).newest(self._functions, set(State) - FINAL, 1))

    def told(self, name: str, awaited: Sequence[str]) -> str:
        """What to say of a name that nobody listens to."""
        near = self._table.nearest(name) or next(iter(get_close_matches(name, [*self._cancels, *awaited], 1, NEAR)), "")
        return f"nothing listens to event {name!r}: " + (
            f"was {near!r} meant?" if near else "it starts and cancels no function, and no run waits for it"
        )
