"""The example app as it is deployed: a worker process with its scheduler, on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

import durableq as dq
from durableq.services.views import RunView
from tests.durableq_command import REPOSITORY, Running, environment, until
from tests.servers import VALKEY, ServerPool


@pytest.mark.acceptance
def test_an_order_goes_its_way_in_a_worker_process(server_pool: ServerPool, tmp_path: Path) -> None:
    server = server_pool.start(VALKEY)
    env = environment(DURABLEQ_URL=server.url, SHOP_DB=str(tmp_path / "shop.sqlite"))
    worker = Running("worker", "workers.shop:app", "--with-scheduler", cwd=REPOSITORY, log=tmp_path / "log", env=env)
    client = dq.Client(server.url).sync
    try:
        order = {"order_id": "7", "card": "flaky", "items": [{"sku": "tea", "count": 2}]}
        client.send(dq.Event("order/created", order))

        def told() -> list[RunView]:
            return client.runs.list(function="shop/tell-customer", status="completed")

        until(told, "the customer was told")
        (run,) = client.runs.list(function="shop/process-order")
        assert client.runs.get(run.id).result == {
            "order": "7",
            "outcome": "shipped",
            "label": "LABEL-7-HOME",
            "invoice": "INVOICE-7-900",
        }
    finally:
        worker.kill()
        client.close()
