"""Bulk operations where Redis has no room, goes away, or somebody has them stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

import durableq as dq
from durableq.model.limits import Limits
from durableq.services import bulk as module
from durableq.services.bulk import Bulk, BulkReport, Operation, new_bulk_id
from durableq.store.registry import Registry
from durableq.store.reruns import Rerun
from durableq.store.upkeep import Upkeep
from durableq.words.errors import RedisUnavailable
from tests.by_hand import ByHand
from tests.servers import RealServer, on

real = on("redis7")


@pytest.fixture
def app(server: RealServer) -> dq.App:
    app = dq.App("shop", redis_url=server.url)

    @app.function("pays", triggers=[dq.EventTrigger("pay")])
    async def pays(ctx: dq.Context) -> int:
        return 1

    return app


@pytest.fixture
async def worker(server: RealServer, app: dq.App) -> AsyncIterator[ByHand]:
    async with ByHand(server, app) as worker:
        yield worker
    await app.client.aclose()


async def failed(app: dq.App, worker: ByHand, count: int) -> list[str]:
    handles = await asyncio.gather(*(app.invoke("pays", data={"n": n}) for n in range(count)))
    runs = [handle.run_id for handle in handles]
    taken: set[str] = set()
    while not taken >= set(runs):
        taken.update(await worker.claim())
    await worker.fail(*runs, error=ValueError("no"))
    return runs


async def begun(worker: ByHand, operation: Operation, **how: object) -> Bulk:
    bulk_id = await new_bulk_id(worker.calls)
    return Bulk(worker.calls, Limits(), operation, dq.RunFilter(), bulk_id, why="by a test", **how)  # type: ignore[arg-type]


@real
async def test_while_redis_has_no_room_a_rerun_waits_and_says_so_and_then_goes_on(app: dq.App, worker: ByHand) -> None:
    await failed(app, worker, 3)
    told: list[BulkReport] = []
    waits = asyncio.Event()

    def tell(report: BulkReport) -> None:
        told.append(report)
        if report.waiting:
            waits.set()

    await Upkeep(worker.calls).set_gate(0.9, prunable=False)
    performing = asyncio.create_task((await begun(worker, "rerun", tell=tell, pause_s=0.02)).perform())
    async with asyncio.timeout(10):
        await waits.wait()
        assert (told[0].met, "nearly out of memory" in told[0].waiting) == (0, True)
        await Upkeep(worker.calls).set_gate(0.1, prunable=False)
        report = await performing
    assert (report.done, report.waiting, report.finished) == (3, "", True)


@real
async def test_somebody_may_have_it_stop_while_it_waits(app: dq.App, worker: ByHand) -> None:
    await failed(app, worker, 3)
    stopping = asyncio.Event()
    await Upkeep(worker.calls).set_gate(0.9, prunable=False)
    bulk = await begun(worker, "rerun", tell=lambda _: stopping.set(), stopping=stopping)
    async with asyncio.timeout(10):
        report = await bulk.perform()
    assert (report.met, report.finished) == (0, False)
    await Upkeep(worker.calls).set_gate(0.1, prunable=False)


@real
async def test_it_stops_between_hundreds(app: dq.App, worker: ByHand) -> None:
    await failed(app, worker, 250)
    stopping = asyncio.Event()
    report = await (await begun(worker, "rerun", tell=lambda _: stopping.set(), stopping=stopping)).perform()
    assert (report.met, report.done, report.finished) == (100, 100, False)


@real
async def test_two_that_go_on_under_one_id_start_each_once(app: dq.App, worker: ByHand) -> None:
    """As when somebody believes that the first is dead, and it is not."""
    sources = await failed(app, worker, 150)
    bulk_id = await new_bulk_id(worker.calls)
    both = [Bulk(worker.calls, Limits(), "rerun", dq.RunFilter(), bulk_id, why="") for _ in range(2)]
    reports = await asyncio.gather(*(bulk.perform() for bulk in both))
    assert [report.done + report.already for report in reports] == [150, 150]
    assert sorted(row.rerun_of for row in await app.client.runs.list(status="queued", limit=1000)) == sorted(sources)


@real
async def test_a_cancel_is_not_held_up_by_a_redis_without_room(app: dq.App, worker: ByHand) -> None:
    await asyncio.gather(*(app.invoke("pays") for _ in range(3)))
    await Upkeep(worker.calls).set_gate(0.9, prunable=False)
    report = await (await begun(worker, "cancel")).perform()
    await Upkeep(worker.calls).set_gate(0.1, prunable=False)
    assert (report.done, report.finished) == (3, True)


@real
async def test_what_ends_or_goes_before_its_turn_is_counted_so(app: dq.App, worker: ByHand) -> None:
    runs = await failed(app, worker, 3)

    class Late(Bulk):
        async def _again(self, rows):  # type: ignore[no-untyped-def]
            await worker.forget(*runs)
            return await super()._again(rows)

    bulk_id = await new_bulk_id(worker.calls)
    report = await Late(worker.calls, Limits(), "rerun", dq.RunFilter(), bulk_id, why="").perform()
    assert (report.met, report.done, report.gone) == (3, 0, 3)

    living = await app.invoke("pays")

    class Later(Bulk):
        async def _cancel(self, rows):  # type: ignore[no-untyped-def]
            await worker.complete(living.run_id)
            return await super()._cancel(rows)

    wanted = dq.RunFilter(where=f"run.id == '{living.run_id}'")
    report = await Later(worker.calls, Limits(), "cancel", wanted, await new_bulk_id(worker.calls), why="").perform()
    assert (report.met, report.done, report.already) == (1, 0, 1)


@real
async def test_a_function_that_is_not_there_any_more_is_the_reason(app: dq.App, worker: ByHand) -> None:
    await failed(app, worker, 2)
    registry = Registry(worker.calls)
    await registry.register_app("shop", "r2", {"other": app.functions["pays"].declaration()})
    await worker.calls.link.command("HDEL", worker.calls.key("functions", "shop"), "pays")
    await worker.calls.link.command("HINCRBY", worker.calls.key("meta"), "registry", 1)
    report = await (await begun(worker, "rerun")).perform()
    assert (report.failed, dict(report.reasons)) == (2, {module.NOT_REGISTERED: 2})


@real
async def test_an_outage_ends_it_with_how_far_it_came_and_how_to_go_on(
    app: dq.App, worker: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await failed(app, worker, 2)
    bulk = await begun(worker, "rerun")

    async def away(*_: object) -> None:
        raise RedisUnavailable("Redis is away")

    monkeypatch.setattr(bulk._rerunner, "start", away)
    with pytest.raises(RedisUnavailable) as raised:
        await bulk.perform()
    assert raised.value.__notes__ == [f"0 runs were seen to before; under bulk id {bulk.report.bulk_id} it goes on"]


@real
async def test_large_events_are_sent_in_calls_of_a_megabyte(app: dq.App, worker: ByHand) -> None:
    handles = await asyncio.gather(*(app.invoke("pays", data={"x": "x" * 400_000}) for _ in range(6)))
    await worker.claim()
    await worker.fail(*(handle.run_id for handle in handles), error=ValueError("no"))
    bulk = await begun(worker, "rerun")
    sizes: list[int] = []
    start = bulk._rerunner.start

    async def counted(reruns, within_s):  # type: ignore[no-untyped-def]
        sizes.append(len(reruns))
        return await start(reruns, within_s)

    bulk._rerunner.start = counted  # type: ignore[method-assign]
    assert (await bulk.perform()).done == 6
    assert sizes == [2, 2, 2]


def test_runs_with_many_memos_share_no_call_for_long() -> None:
    def chunks(*reruns: tuple[int, int], size: int = 0) -> list[int]:
        made = [Rerun("new", f"{place}", b"x" * given, last, b"") for place, (given, last) in enumerate(reruns)]
        sizes = {rerun.source: size for rerun in made}
        return [len(chunk) for chunk in module._chunks(made, sizes)]

    assert chunks() == []
    assert chunks(*[(10, 0)] * 100, size=5_000_000) == [100], "nothing is copied"
    assert chunks(*[(10, 300)] * 7) == [3, 3, 1]
    assert chunks((10, 5000), (10, 1), (10, 1)) == [1, 2]
    assert chunks(*[(10, 1)] * 4, size=400_000) == [2, 2]
