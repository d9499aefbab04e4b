"""Verbs of the registry: which functions each app has, by deployment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from durableq.model.cron import crons_of
from durableq.model.declared import echo_of, numbers_of, timeouts_of
from durableq.store.calls import Calls
from durableq.store.records import pairs


class Registered(NamedTuple):
    """The registry's version, the deployment's number, and whether it is the app's newest."""

    version: int
    number: int
    newest: bool


class Noted(NamedTuple):
    """What was wrong: how often, when last, and why."""

    times: int
    at_ms: int
    reason: str


class Registry:
    """Functions of every app of a namespace, as encoded declarations."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def register_app(
        self, app: str, release: str, functions: Mapping[str, bytes], numbers: Mapping[str, str] | None = None
    ) -> Registered:
        """Make a deployment known. If it is the newest, its functions become the app's: with their timeouts, and the system
        events that they listen to, and the numbers of their flow control; and their cron triggers tick.

        `numbers` (by function id) instead of what the declarations say.
        """
        given = numbers_of(functions) if numbers is None else numbers
        flow = {f"{function} ~": text.encode() for function, text in given.items()}
        items = {**crons_of(functions), **timeouts_of(functions), **echo_of(functions), **flow, **functions}
        version, number, newest = await self._calls.run(
            "register_app", app, release, *chain.from_iterable(items.items())
        )
        return Registered(version, number, newest == 1)

    async def promote_deployment(self, app: str, release: str) -> bool:
        """Make a deployment the app's newest, so that it may register. Returns whether it was not before."""
        _, promoted = await self._calls.run("promote_deployment", app, release)
        return bool(promoted)

    async def retire_functions(self, after_ms: int, app: str = "") -> list[str]:
        """Forget functions without a deployment and without a worker for this long: of one app, or of all.

        Returns their full ids.
        """
        return [name.decode() for name in await self._calls.run("retire_functions", after_ms, app)]

    async def declared(self, app: str) -> tuple[dict[str, bytes], set[str]]:
        """One app's declarations by short id, and which of them its newest deployment lacks."""
        declared = await self._calls.read("HGETALL", self._calls.key("functions", app))
        absent = await self._calls.read("ZRANGE", self._calls.key("absent", app), 0, -1)
        return {name.decode(): blob for name, blob in pairs(declared)}, {name.decode() for name in absent}

    async def apps(self) -> list[str]:
        """The ids of all apps of the namespace."""
        return sorted(app.decode() for app in await self._calls.read("SMEMBERS", self._calls.key("apps")))

    async def version(self) -> int:
        """The registry's version, which grows with every change of a declaration."""
        return int(await self._calls.read("HGET", self._calls.key("meta"), "registry") or 0)

    async def read(self) -> tuple[int, dict[str, bytes]]:
        """The version, and every function's declaration by full id. The version may be older than what is returned."""
        version = await self._calls.read("HGET", self._calls.key("meta"), "registry")
        apps = [app.decode() for app in await self._calls.read("SMEMBERS", self._calls.key("apps"))]
        found: dict[str, bytes] = {}
        for app in sorted(apps):
            declared = await self._calls.read("HGETALL", self._calls.key("functions", app))
            found.update({f"{app}/{name.decode()}": blob for name, blob in pairs(declared)})
        return int(version or 0), found

    async def faults(self) -> dict[str, Noted]:
        """Per function whose trigger could not be evaluated: how often, when last, and why."""
        return {field: noted for field, noted in (await self._noted()).items() if " " not in field}

    async def key_faults(self) -> dict[str, dict[str, Noted]]:
        """Per function and option of its flow control: how often its key came to nothing, when, and why."""
        found: dict[str, dict[str, Noted]] = {}
        for field, noted in (await self._noted()).items():
            function, space, option = field.partition(" ")
            if space:
                found.setdefault(function, {})[option] = noted
        return found

    def note_faults(self, faults: Sequence[tuple[str, str]]) -> asyncio.Future[Any]:
        """Note what was wrong with keys, by `function option`, where a run is created without routing. Need not be awaited."""
        items = chain.from_iterable((field, reason.encode("utf-8", "replace")[:500]) for field, reason in faults)
        return self._calls.run("note_faults", *items)

    async def _noted(self) -> dict[str, Noted]:
        found = {}
        for field, raw in pairs(await self._calls.read("HGETALL", self._calls.key("faults"))):
            count, at_ms, reason = raw.decode("utf-8", "replace").split(" ", 2)
            found[field.decode()] = Noted(int(count), int(at_ms), reason)
        return found
