"""Group commit: how writes are cut into calls."""

import asyncio

from durableq.services.committer import BATCH_BYTES, Waiting, batches
from durableq.store.runs import StepWrite, SuspendWrite


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
