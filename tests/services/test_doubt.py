"""Doubt: bodies are held up after a standstill, and begin only if the lease lives on."""

import asyncio
from collections.abc import Sequence

import pytest

from durableq.engine.environment import Environment
from durableq.services.doubt import Doubt
from durableq.words.errors import RedisUnavailable
from durableq.words.telemetry import get_log


class FakeLeases:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def renew_leases(self, leases: Sequence[str]) -> list[int | None]:
        self.asked += leases
        return [await self.answer]


class Scene:
    """A doubt over one lease, with a body that wants to begin."""

    def __init__(self, told: list[str] | None = None) -> None:
        async def note(run_id: str, step_id: str) -> None:
            assert told is not None
            told.append(f"{run_id} {step_id}")

        self.leases = FakeLeases()
        self.lost: list[str] = []
        self.environment = Environment(on_body=None if told is None else note)
        self.before = self.environment.on_body
        self.doubt = Doubt(self.environment, self.leases, self.lost.append, get_log())  # type: ignore[arg-type]

    async def body(self) -> "asyncio.Task[None]":
        """A body that has come to its beginning."""
        assert self.environment.on_body is not None
        task = asyncio.ensure_future(self.environment.on_body("run", "step"))
        await asyncio.sleep(0)
        return task


async def test_a_body_waits_until_the_lease_is_confirmed() -> None:
    scene = Scene()
    scene.doubt.begin("lease")
    body = await scene.body()
    assert not body.done()
    scene.leases.answer.set_result(123)
    await body
    assert scene.leases.asked == ["lease"]
    assert not scene.lost


async def test_a_body_under_a_lost_lease_never_begins() -> None:
    scene = Scene()
    scene.doubt.begin("lease")
    body = await scene.body()
    scene.leases.answer.set_result(None)
    await asyncio.sleep(0.01)
    assert scene.lost == ["lease"]
    assert not body.done()
    body.cancel()
    with pytest.raises(asyncio.CancelledError):
        await body


async def test_an_error_counts_as_a_lost_lease() -> None:
    scene = Scene()
    scene.doubt.begin("lease")
    scene.leases.answer.set_exception(RedisUnavailable("closed"))
    await asyncio.sleep(0.01)
    assert scene.lost == ["lease"]


async def test_without_doubt_nothing_stands_in_the_way() -> None:
    scene = Scene()
    scene.doubt.begin("lease")
    scene.leases.answer.set_result(123)
    await asyncio.sleep(0.01)
    assert scene.environment.on_body is None


async def test_the_hook_that_was_there_is_asked_and_comes_back() -> None:
    told: list[str] = []
    scene = Scene(told)
    scene.doubt.begin("lease")
    body = await scene.body()
    scene.leases.answer.set_result(123)
    await body
    assert told == ["run step"]
    assert scene.environment.on_body is scene.before


async def test_doubting_twice_asks_once() -> None:
    scene = Scene()
    scene.doubt.begin("lease")
    scene.doubt.begin("lease")
    body = await scene.body()
    scene.leases.answer.set_result(123)
    await body
    assert scene.leases.asked == ["lease"]


async def test_a_body_that_is_cancelled_while_held_leaves_the_question_open() -> None:
    scene = Scene()
    scene.doubt.begin("lease")
    body = await scene.body()
    body.cancel()
    with pytest.raises(asyncio.CancelledError):
        await body
    scene.leases.answer.set_result(None)
    await asyncio.sleep(0.01)
    assert scene.lost == ["lease"]
