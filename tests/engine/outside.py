"""What goes on outside the one run of a `World`: events that arrive, signals, children, and the waits for them.

The store's part as a dict: a wait has a place in the log of events and is answered by the first match behind it, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durableq.engine.port import EventWait, Invocation, OutsideWait, SignalWait
from durableq.model.event import Event, decode_event, encode_event
from durableq.model.failure import Failure
from durableq.model.filing import condition
from durableq.model.memo import Memo, MemoKind
from durableq.words import codec

if TYPE_CHECKING:
    from tests.engine.world import World

OTHER_RUN = "01HF00000000ZZZZZZZZZZZZZZ"


@dataclass
class Ends:
    """What a child comes to, and when. `result` may be an exception, or the bytes of a failure that a script writes."""

    result: Any = None
    after_ms: int = 0


class Outside:
    """The rest of the namespace."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.log: list[tuple[str, Event[Any]]] = []
        self.pending: dict[str, OutsideWait] = {}
        self.taken: set[str] = set()
        """Signals that another run waits for."""
        self.listeners: dict[str, str] = {}
        """Runs that wait for what `send_signal` of ours may send."""
        self.sent: list[tuple[str, Any]] = []
        """What it has sent, each once."""
        self._answered: dict[str, str] = {}
        self.child: Callable[[str, Event[Any]], Ends | None] = lambda _function, _given: Ends()
        """What a child comes to; None: it does not end."""
        self.children: list[str] = []
        self._told_s = 0.0

    # --- What tests do.

    def arrive(self, name: str, data: Any = None) -> str:
        """An event arrives. Returns its entry."""
        entry = f"{self._world.now_ms()}-{len(self.log)}"
        event = Event(name, data, id=f"e{len(self.log)}")
        self.log.append((entry, event))
        for key, wait in list(self.pending.items()):
            if isinstance(wait, EventWait) and self._matches(wait, event):
                self._end(key, MemoKind.MATCHED, match_blob(entry, event))
        return entry

    def signal(self, name: str, data: Any = None) -> bool:
        """Somebody sends a signal. Whether it reached our run."""
        for key, wait in self.pending.items():
            if isinstance(wait, SignalWait) and wait.signal == name:
                self._end(key, MemoKind.DATA, codec.encode(data))
                return True
        return False

    async def send_signal(self, name: str, token: str, blob: bytes) -> str:
        """What the environment gives to the steps of our run."""
        if self._answered.get(token):
            return self._answered[token]
        self.sent.append((name, codec.decode(blob)))
        self._answered[token] = self.listeners.get(name, "")
        return self._answered[token]

    # --- What the port does. Each: whether there is a result already, which the caller delivers.

    def begin(self, wait: OutsideWait) -> None:
        world = self._world
        if wait.key in world.memos:
            return
        found = self._result_of(wait)
        if found is not None:
            world.number(wait.key, *found)
            return
        world.memos[wait.key] = Memo(0, world.now_ms(), wait.kind, wait.blob)
        world.waits[wait.key] = wait.due_at_ms
        self.pending[wait.key] = wait
        if isinstance(wait, Invocation):
            self._start(wait)

    def _result_of(self, wait: OutsideWait) -> tuple[MemoKind, bytes] | None:
        if isinstance(wait, SignalWait) and wait.signal in self.taken and not wait.replace:
            return (
                MemoKind.ERROR,
                b"TSignalTaken\nrun " + OTHER_RUN.encode() + b" waits for signal " + wait.signal.encode() + b" already",
            )
        if isinstance(wait, EventWait):
            entries = [entry for entry, _ in self.log]
            start = entries.index(wait.behind) + 1 if wait.behind else 0
            for entry, event in self.log[start:]:
                if self._matches(wait, event):
                    return MemoKind.MATCHED, match_blob(entry, event)
        if isinstance(wait, Invocation) and wait.function.endswith("/unknown"):
            return MemoKind.ERROR, f"TFunctionNotFound\nno function {wait.function} is registered".encode()
        return None

    def _matches(self, wait: EventWait, event: Event[Any]) -> bool:
        if event.name != wait.event_name:
            return False
        own = self._world.events[0]
        scope = {"event": {"name": own.name, "data": own.data}, "async": {"name": event.name, "data": event.data}}
        return wait.if_ is None or condition(wait.if_).test(scope)

    def _start(self, wait: Invocation) -> None:
        assert wait.child not in self.children
        self.children.append(wait.child)
        ends = self.child(wait.function, decode_event(wait.given))
        if ends is not None:
            asyncio.get_running_loop().call_later(ends.after_ms / 1000, self._child_ended, wait.key, ends.result)

    def _child_ended(self, key: str, result: Any) -> None:
        if key not in self.pending:
            return
        if isinstance(result, bytes):
            self._end(key, MemoKind.ERROR, result)
        elif isinstance(result, BaseException):
            self._end(key, MemoKind.ERROR, Failure.of(result).encode())
        else:
            self._end(key, MemoKind.DATA, b"" if result is None else codec.encode(result))

    def _end(self, key: str, kind: MemoKind, blob: bytes) -> None:
        """A pending wait of ours has its result: the holder is told, or the run is ready."""
        world = self._world
        del self.pending[key], world.waits[key]
        memo = world.number(key, kind, blob)
        world.ready.set()
        port = world.port
        if port is not None and not port.dead:
            loop = asyncio.get_running_loop()
            # In order of number, and sooner or later than the replies that are on their way.
            delay_s = world.random.uniform(0, 0.1) if world.delayed else 0.0
            self._told_s = max(self._told_s + 1e-6, loop.time() + delay_s)
            loop.call_at(self._told_s, port.tell, key, memo)


def match_blob(entry: str, event: Event[Any]) -> bytes:
    """The blob of MATCHED."""
    return entry.encode() + b" " + encode_event(event)
