"""Programs as data: trees of steps and combinators, interpreted by one function, so that hypothesis can make them up.

Whenever the function is told something it writes it into its trace, with the time and a number that `ctx` gives, so two
calls of the function that were told the same things in the same order have equal traces.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hypothesis import strategies as st

from durableq.engine.context import Context
from durableq.model.event import Event
from durableq.model.memo import RESULTS
from durableq.words.errors import InvokeTimeout, NonRetriableError, StepError
from tests.engine.outside import Ends
from tests.engine.world import World


@dataclass
class Step:
    """A step whose attempts take `takes_ms` each; it fails `fails` times, or for good if `fatal`."""

    takes_ms: int = 0
    fails: int = 0
    fatal: bool = False
    id: str = ""


@dataclass
class Sleep:
    length_ms: int
    id: str = ""


@dataclass
class Wait:
    """For an event `a` or `b`, of one kind or of any."""

    name: str
    timeout_ms: int
    kind: int | None = None
    id: str = ""


@dataclass
class Hearing:
    """A wait for the signal that is called as this is."""

    timeout_ms: int
    id: str = ""


@dataclass
class Child:
    takes_ms: int
    timeout_ms: int
    fails: bool = False
    id: str = ""


@dataclass
class Many:
    """How: seq, gather, race, group, completed, limited (gather under a semaphore of 2)."""

    how: str
    parts: list[Any] = field(default_factory=list)


def numbered(node: Any, path: str = "s") -> Any:
    """The same tree, each leaf with an id of its own."""
    if isinstance(node, Many):
        return Many(node.how, [numbered(part, f"{path}.{i}") for i, part in enumerate(node.parts)])
    node.id = path
    return node


steps = st.builds(
    Step,
    takes_ms=st.sampled_from([0, 0, 1, 2, 5, 30]),
    fails=st.sampled_from([0, 0, 0, 1, 2]),
    fatal=st.sampled_from([False] * 4 + [True]),
)
sleeps = st.builds(Sleep, length_ms=st.sampled_from([0, 1, 3, 10, 5_000, 60_000]))
_TIMEOUTS_MS = [0, 3, 20, 1_000, 100_000]
waits = st.one_of(
    st.builds(
        Wait,
        name=st.sampled_from("ab"),
        timeout_ms=st.sampled_from(_TIMEOUTS_MS),
        kind=st.sampled_from([None, None, 0, 1]),
    ),
    st.builds(Hearing, timeout_ms=st.sampled_from(_TIMEOUTS_MS)),
    st.builds(
        Child,
        takes_ms=st.sampled_from([0, 1, 5, 50, 5_000]),
        timeout_ms=st.sampled_from(_TIMEOUTS_MS),
        fails=st.sampled_from([False, False, True]),
    ),
)
_TIMES_MS = [0, 1, 2, 5, 10, 20, 500, 2_000, 70_000]
happenings = st.lists(
    st.tuples(st.sampled_from(_TIMES_MS), st.sampled_from(["a", "b", "signal"]), st.integers(0, 9)), max_size=8
)
"""What happens outside: when, an event of which name or a signal, and of which kind, or to which wait for one."""

HOWS = ["seq", "gather", "race", "group", "completed", "limited"]


def _many(parts: Any) -> Any:
    return st.builds(Many, how=st.sampled_from(HOWS), parts=st.lists(parts, min_size=1, max_size=4))


programs_that_wait = st.recursive(st.one_of(steps, sleeps, waits, waits, waits), _many, max_leaves=10).map(
    lambda node: numbered(Many("seq", [node]))
)

programs = st.recursive(st.one_of(steps, steps, sleeps), _many, max_leaves=12).map(
    lambda node: numbered(Many("seq", [node]))
)


class Interpreter:
    """The function, and what it remembers beyond its crashes."""

    def __init__(self, program: Any) -> None:
        self.program = program
        self.world: World | None = None
        self.traces: list[list[Any]] = []
        self.executed: list[str] = []
        self.executed_again: list[str] = []

    async def __call__(self, ctx: Context) -> Any:
        trace: list[Any] = []
        self.traces.append(trace)
        return await self.evaluate(ctx, self.program, trace)

    async def evaluate(self, ctx: Context, node: Any, trace: list[Any]) -> Any:
        def told(*what: Any) -> None:
            trace.append((*what, ctx.now(), ctx.random.random()))

        if isinstance(node, Step):
            try:
                value = await ctx.step.run(node.id, self.body, ctx, node)
            except StepError as error:
                value = error.name
            told("step", node.id, value)
            return value
        if isinstance(node, Sleep):
            await ctx.step.sleep(node.id, node.length_ms / 1000)
            told("slept", node.id)
            return "slept"
        if isinstance(node, (Wait, Hearing, Child)):
            value = await self.wait(ctx, node)
            told(type(node).__name__, node.id, value)
            return value
        parts = [self.evaluate(ctx, part, trace) for part in node.parts]
        return await getattr(self, node.how)(parts, told)

    async def wait(self, ctx: Context, node: Any) -> Any:
        timeout = node.timeout_ms / 1000
        if isinstance(node, Wait):
            if_ = None if node.kind is None else f"async.data.kind == {node.kind}"
            event = await ctx.step.wait_for_event(node.id, node.name, timeout=timeout, if_=if_)
            return None if event is None else event.id
        if isinstance(node, Hearing):
            signal = await ctx.step.wait_for_signal(node.id, node.id, timeout=timeout)
            return None if signal is None else signal.data
        try:
            data = {"takes_ms": node.takes_ms, "fails": node.fails}
            return await ctx.step.invoke(node.id, "child", data=data, timeout=timeout)
        except (StepError, InvokeTimeout) as error:
            return type(error).__name__

    async def seq(self, parts: list[Any], _told: Any) -> Any:
        return [await part for part in parts]

    async def gather(self, parts: list[Any], _told: Any) -> Any:
        return list(await asyncio.gather(*parts))

    async def race(self, parts: list[Any], told: Any) -> Any:
        tasks = [asyncio.ensure_future(part) for part in parts]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        winners = [i for i, task in enumerate(tasks) if task in done]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        told("won", winners)
        return [tasks[i].result() for i in winners]

    async def group(self, parts: list[Any], told: Any) -> Any:
        """Fails as soon as a part gives an error, which cancels the others."""

        async def strict(part: Any) -> Any:
            value = await part
            if value == "NonRetriableError":
                raise ValueError(value)
            return value

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(strict(part)) for part in parts]
        except ExceptionGroup:
            told("group failed")
            return "failed"
        return [task.result() for task in tasks]

    async def completed(self, parts: list[Any], told: Any) -> Any:
        values = []
        for task in asyncio.as_completed([asyncio.ensure_future(part) for part in parts]):
            values.append(await task)
            told("completed")
        return values

    async def limited(self, parts: list[Any], _told: Any) -> Any:
        semaphore = asyncio.Semaphore(2)

        async def within(part: Any) -> Any:
            async with semaphore:
                return await part

        return list(await asyncio.gather(*map(within, parts)))

    async def body(self, ctx: Context, step: Step) -> Any:
        assert self.world is not None
        known = self.world.memos.get(self.key(step.id))
        if known is not None and known.kind in RESULTS:
            self.executed_again.append(step.id)
        self.executed.append(step.id)
        await asyncio.sleep(step.takes_ms / 1000 * (0.5 + self.world.random.random()))
        if step.fatal:
            raise NonRetriableError(step.id)
        if ctx.attempt < step.fails:
            raise ValueError(step.id)
        return f"{step.id} {ctx.random.random()}"

    def key(self, step_id: str) -> str:
        assert self.world is not None
        return self.world.environment.key_of(step_id, 0)


def world_of(interpreter: Interpreter, **options: Any) -> World:
    """A world that executes the program."""

    async def program(ctx: Context) -> Any:
        return await interpreter(ctx)

    world = interpreter.world = World(program, **options)
    world.outside.child = end_of_child
    return world


def end_of_child(_function: str, given: Event[Any]) -> Ends:
    """What a `Child` comes to."""
    return Ends(ValueError("child") if given.data["fails"] else "child", given.data["takes_ms"])


def leaves_of(node: Any, kind: type) -> list[Any]:
    """The leaves of this kind."""
    if isinstance(node, Many):
        return [leaf for part in node.parts for leaf in leaves_of(part, kind)]
    return [node] if isinstance(node, kind) else []


def happen(world: World, program: Any, what: list[tuple[int, str, int]]) -> None:
    """Have this happen outside."""
    signals = [leaf.id for leaf in leaves_of(program, Hearing)]
    for order, (at_ms, name, number) in enumerate(what):
        if name != "signal":
            act = partial(world.outside.arrive, name, {"kind": number % 2})
        elif signals:
            act = partial(world.outside.signal, signals[number % len(signals)], order)
        else:
            continue
        world.plan.append((at_ms, act))
