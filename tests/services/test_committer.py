"""Group commit: how writes are cut into calls, and each is answered by itself."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
import structlog

from durableq.services.committer import BATCH_BYTES, Committer, Retention, Waiting, batches
from durableq.store.runs import Answers, Runs, StepWrite, SuspendWrite
from durableq.words.clock import ServerClock, SystemClock


def step(number: int, size: int = 10) -> StepWrite:
    return StepWrite(f"run-{number}", 1, 0, "key", "d", b"x" * size, b"")


def cut(writes: list[StepWrite] | list[SuspendWrite]) -> list[int]:
    async def run() -> list[int]:
        loop = asyncio.get_running_loop()
        pending: list[Waiting] = [(write, loop.create_future(), None) for write in writes]
        found = batches(pending)
        assert [entry for batch in found for entry in batch] == pending
        return [len(batch) for batch in found]

    return asyncio.run(run())


def test_a_call_has_at_most_a_hundred_items() -> None:
    assert cut([step(n) for n in range(250)]) == [100, 100, 50]


def test_a_call_has_at_most_a_megabyte() -> None:
    assert cut([step(n, BATCH_BYTES // 4) for n in range(9)]) == [4, 4, 1]


def test_what_is_larger_goes_alone() -> None:
    assert cut([step(0), step(1, BATCH_BYTES * 4), step(2), step(3)]) == [1, 1, 2]


def test_the_waits_that_put_one_run_to_sleep_stay_together() -> None:
    waits = [SuspendWrite("run", 1, 0, f"k{n}", "w", b"", 1, b"", int(n == 149)) for n in range(150)]
    others = [SuspendWrite(f"other-{n}", 1, 0) for n in range(60)]
    assert cut([*others, *waits, *others]) == [210, 60]


def test_an_answer_that_cannot_be_read_fails_its_own_write_alone() -> None:
    class Recorded:
        async def record_steps(self, _lease: str, writes: Sequence[StepWrite]) -> Answers:
            return Answers(1, [1] * len(writes))

        def __getattr__(self, verb: str) -> Any:
            return None

    def unreadable(answer: Any) -> Any:
        raise ValueError("what is this?")

    def unexpected(_: object) -> None:
        raise AssertionError

    async def run() -> None:
        committer = Committer(
            cast(Runs, Recorded()),
            ServerClock(SystemClock()),
            structlog.get_logger(),
            retention=Retention(),
            on_lease_lost=unexpected,
            on_state_lost=unexpected,
        )
        broken = committer.add(step(0), unreadable)
        right = committer.add(step(1), lambda answer: ("read", answer))
        async with asyncio.timeout(10):
            assert await right == ("read", 1)
        with pytest.raises(ValueError, match="what is this"):
            await broken

    with structlog.testing.capture_logs() as lines:
        asyncio.run(run())
    assert [(line["event"], line["items"]) for line in lines] == [("commit.failed", 1)]
