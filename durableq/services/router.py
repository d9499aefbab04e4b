"""Turns events into runs, in the order in which they were accepted.

Authority: the cursor in Redis. The script that moves it from a to b creates the runs of the entries (a, b], so a late or a
second router changes nothing, and acknowledging is the same act as routing. Who routes is only a hint: the child that the
event bell woke, or anybody who sees at a claim that events wait.

Of an entry that something may wait for it says where that would be filed; who delivers it is another matter (deliverer.py).
The names of the registry's `cancel_on` count as waited for, so that an event cancels a run that was created in the same
batch. An entry that only refers to a run, a system event, is made into the event first (system_events.py); where nobody
listens any more it is passed over.

Failures. CURSOR_MOVED: somebody else is routing; leave it to them for 200 ms. REGISTRY_CHANGED: decide again with the
new functions; NAMES_CHANGED: with the new names that something waits for. DELIVERIES_BEHIND: pause, so that those are
done. QUEUE_FULL: pause, and try again for as long as it takes. An entry that cannot be decided three times is set aside with
the reason, and the cursor moves on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from durableq.model.dressing import HUSHED, PLAIN, SILENT
from durableq.model.event import EventHead, read_head
from durableq.model.filing import buckets_of
from durableq.model.routing import Fault, RoutingTable, key_faults
from durableq.model.system import ENDS, INVOKED
from durableq.model.system_event import MARK
from durableq.services.system_events import Made, SystemEvents, is_reference, name_of
from durableq.store.calls import BATCH
from durableq.store.events import Backlog, Decision, Entry, Events, Routed
from durableq.store.failures import CursorMoved, DeliveriesBehind, NamesChanged, RegistryChanged
from durableq.store.registry import Registry
from durableq.store.waits import Waits
from durableq.words.errors import CodecError, QueueFull
from durableq.words.ids import run_id
from durableq.words.telemetry import Log

EVENTS_KEPT: Final = 100_000
TRIES: Final = 3
HINTED_S: Final = 3600.0
"""No round comes by itself: bells and claims say when there is something."""
LEAVE_TO_OTHERS_S: Final = 0.2
PAUSE_S: Final = 0.05
"""After DELIVERIES_BEHIND. Each delivery and each claim hints, and would send a batch of decisions to be refused again."""
FULL_PAUSE_S: Final = 0.5
"""After QUEUE_FULL. Being refused hints the claimer, and its claim the router: without a pause they would chase each other."""
UNHEARD_MAX: Final = 1000
NAMES_KEPT: Final = 10_000
"""More names than this, and than twice what was there at the last look, may be forgotten ones: all are read again."""
NOTHING: Final[Mapping[str, Made | None]] = MappingProxyType({})


class Router:
    """Routes what waits behind the cursor, in batches. A service that is turned whenever it is hinted."""

    def __init__(
        self,
        events: Events,
        waits: Waits,
        registry: Registry,
        log: Log,
        *,
        on_runs: Callable[[], None] = lambda: None,
        on_posts: Callable[[], None] = lambda: None,
        shard: int = 0,
        kept: int = EVENTS_KEPT,
    ) -> None:
        self._events = events
        self._waits = waits
        self._registry = registry
        self._system = SystemEvents(events.facts)
        self._log = log
        self._on_runs = on_runs
        self._on_posts = on_posts
        self._shard = shard
        self._kept = kept
        self._table = RoutingTable(-1, {})
        self._waited: dict[str, list[str]] = {}
        """The names that something waits for, or did, with the paths by which waits are filed."""
        self._heard: dict[str, list[str]] = {}
        """Those, and the names of the registry's `cancel_on`."""
        self._names_max = 0
        self._names = 0
        """Up to which version of them these are."""
        self.paused = False
        """Whether routing has stopped until something is delivered."""
        self._full = False
        """Whether Redis had no room for runs, which is said once."""
        self._again_at_s = 0.0
        self._say_names = False
        """Whether names change so fast that a batch has to say which it is about."""
        self._busy = asyncio.Lock()
        self._offered: Backlog | None = None
        self._unheard: set[str] = set()
        self._doubtful: list[str] = []
        """Names that nobody listens to, as far as was known when they were decided about: the script may know better."""

    def offer(self, backlog: Backlog | None) -> None:
        """Take what a bell brought: the next round begins with it instead of reading. It may be old by then."""
        self._offered = backlog

    async def run_once(self) -> float:
        now_s = asyncio.get_running_loop().time
        if self._again_at_s > now_s():
            return self._again_at_s - now_s()
        await self.route()
        if not self.paused and not self._full:
            return HINTED_S
        pause_s = FULL_PAUSE_S if self._full else PAUSE_S
        self._again_at_s = now_s() + pause_s
        return pause_s

    async def route(self) -> int:
        """Route until nothing is left or somebody else does. Returns the runs created.

        Raises RedisUnavailable, StateLost.
        """
        created = 0
        async with self._busy:
            self.paused = False
            while True:
                offered, self._offered = self._offered, None
                backlog = offered or await self._events.unrouted(BATCH)
                if backlog.registry != self._table.version:
                    await self._reload()
                try:
                    routed = await self._apply(backlog)
                except CursorMoved:
                    if offered is not None:
                        continue
                    await asyncio.sleep(LEAVE_TO_OTHERS_S)
                    continue
                except RegistryChanged:
                    await self._reload()
                    continue
                except NamesChanged:
                    await self._hear()
                    self._say_names = True
                    continue
                except DeliveriesBehind:
                    self.paused = True
                    self._on_posts()
                    return created
                except QueueFull as full:
                    if not self._full:
                        self._log.warning("route.refused", reason=str(full))
                    self._full = True
                    return created
                self._full = False
                created += routed.created
                self._say_names = False
                if routed.posted:
                    self._on_posts()
                if not routed.more:
                    return created

    async def _reload(self) -> None:
        version, declarations = await self._registry.read()
        self._table = RoutingTable(version, declarations)
        self._unheard.clear()
        self._hear_all()

    async def _hear(self) -> None:
        if len(self._waited) > self._names_max:
            # Nobody is told of a name that was forgotten, and where names have ids in them there is no end of those.
            names = await self._waits.read_names(0)
            self._waited = names.paths
            self._names_max = max(NAMES_KEPT, 2 * len(names.paths))
            self._hear_all()
        else:
            names = await self._waits.read_names(self._names)
            self._waited.update(names.paths)
            for name, paths in names.paths.items():
                self._heard[name] = sorted(self._table.heard.get(name, frozenset()).union(paths))
        self._names = names.version

    def _hear_all(self) -> None:
        self._heard = dict(self._waited)
        for name, paths in self._table.heard.items():
            self._heard[name] = sorted(paths.union(self._waited.get(name, ())))

    async def _apply(self, backlog: Backlog) -> Routed:
        made = await self._made(backlog.entries)
        self._doubtful.clear()
        decisions: list[Decision] = []
        upto, count = backlog.cursor, 0
        for entry in backlog.entries:
            if made is not NOTHING and is_reference(entry):
                if entry.id not in made:
                    break  # more than is read at once: the next batch begins with it
                decided = self._decide_system(entry, made[entry.id])
            else:
                decided = self._decide(entry)
            if count and len(decisions) + len(decided) > BATCH:
                break
            decisions += decided
            upto, count = entry.id, count + 1
            if len(decisions) >= BATCH:
                break
        if decisions:
            # Told before the reply: what is sent on this connection from here on finds the runs.
            self._on_runs()
        about = _names_of(backlog.entries[:count]) if self._say_names else ()
        routed = await self._events.route_events(
            backlog.cursor, upto, self._table.version, count, decisions, self._kept, self._names, about
        )
        for name in self._doubtful:
            self._note_unheard(name)
        return routed

    async def _made(self, entries: Sequence[Entry]) -> Mapping[str, Made | None]:
        """What the references among these entries stand for; None where nobody listens."""
        references = [entry for entry in entries if entry.blob[:1] == MARK]
        if not references:
            return NOTHING
        unwanted = {entry.id: None for entry in references if not self._listens(name_of(entry))}
        wanted = [entry for entry in references if entry.id not in unwanted]
        return {**unwanted, **await self._system.made(wanted)}

    def _listens(self, name: str) -> bool:
        # Of a sort that this release does not know there is no name: it is looked at, and set aside with the reason.
        return not name or name in self._heard or self._table.hears(name)

    def _decide_system(self, entry: Entry, made: Made | None) -> list[Decision]:
        if made is None:
            return []
        if not made.blob:
            return [self._aside(entry, made.reason)]
        event = Decision("event", entry.id, detail=made.blob)
        return [event, *self._decide(Entry(entry.id, made.blob), system=True)]

    def _decide(self, entry: Entry, *, system: bool = False) -> list[Decision]:
        reason = ""
        for _ in range(TRIES):
            try:
                return self._decisions(entry, read_head(entry.blob), system)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
        return [self._aside(entry, reason)]

    def _aside(self, entry: Entry, reason: str) -> Decision:
        self._log.error("event.set_aside", entry=entry.id, reason=reason)
        return Decision("aside", entry.id, detail=reason.encode("utf-8", "replace")[:2000])

    def _decisions(self, entry: Entry, head: EventHead, system: bool) -> list[Decision]:
        scope = head.scope(entry.id)
        functions, faults = self._table.starts(head.name, scope)
        if not functions and not faults and head.name not in self._heard:
            self._doubtful.append(head.name)
        # A system event is as old as what it tells, and starts runs at once, whatever the clock has done since.
        due_at_ms = 0 if system else head.ts_ms or 0
        flags = _flags_of(head.name) if system else ""
        found, unclear = [], []
        for function in functions:
            dressing = self._table.dressings.get(function, PLAIN) if flags else self._table.dressings.get(function)
            extras = b""
            if dressing is not None:
                extras, keys = dressing.made(scope, flags)
                unclear += [Fault(function, reason) for reason in dressing.faults]
                if keys:
                    unclear += key_faults(function, keys)
            run = run_id(entry.id, function, self._shard)
            found.append(Decision("run", entry.id, run, function, due_at_ms, extras))
        if faults or unclear:
            found += [
                Decision(
                    "fault", entry.id, function=fault.function, detail=fault.reason.encode("utf-8", "replace")[:500]
                )
                for fault in (*faults, *unclear)
            ]
        paths = self._heard.get(head.name)
        if paths is not None:
            buckets = " ".join(buckets_of(head.name, paths, scope)).encode()
            found.append(Decision("heard", entry.id, function=head.name, detail=buckets))
        return found

    def _note_unheard(self, name: str) -> None:
        """Say once per name and deployment that no function is triggered by it: no error, but often a typo."""
        if name in self._unheard or len(self._unheard) >= UNHEARD_MAX or self._table.hears(name):
            return
        self._unheard.add(name)
        nearest = self._table.nearest(name)
        if nearest is None:
            self._log.info("event.unheard", name=name, hint="no function is triggered by it")
        else:
            self._log.warning("event.unheard", name=name, hint=f"no function is triggered by it; was {nearest} meant?")


def _flags_of(name: str) -> str:
    """What keeps the runs that a system event starts from making further ones of the same sort."""
    if name in ENDS:
        return SILENT
    return HUSHED if name == INVOKED else ""


def _names_of(entries: Sequence[Entry]) -> set[str]:
    """The names of these events; of one that cannot be read there is none."""
    found = set()
    for entry in entries:
        with suppress(CodecError):
            found.add(name_of(entry) if is_reference(entry) else read_head(entry.blob).name)
    return found
