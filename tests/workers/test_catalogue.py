"""Events that come in crowds: once when it is quiet, together, or one after the other."""

from __future__ import annotations

import durableq as dq
from durableq.testing import TestEnv
from workers import outside


def test_a_product_that_is_saved_ten_times_is_indexed_once_with_its_last_price(durableq_env: TestEnv) -> None:
    for cents in range(100, 110):
        durableq_env.send("product/edited", {"sku": "tea", "cents": cents})
        durableq_env.advance("1s")
    durableq_env.run_to_end()
    assert durableq_env.only_run.result == "tea for 1.09"
    assert outside.calls("index", "tea") == 1


def test_views_are_counted_a_hundred_at_a_time(durableq_env: TestEnv) -> None:
    durableq_env.send([dq.Event("product/viewed", {"sku": "tea"}) for _ in range(250)])
    durableq_env.run_to_end()
    assert [run.result for run in durableq_env.runs] == [100, 100, 50]
    assert outside.calls("views", "batch") == 3


def test_a_price_is_asked_for_once_a_day_and_customers_come_first(durableq_env: TestEnv) -> None:
    for n in range(10):
        durableq_env.send("price/wanted", {"supplier": "acme", "sku": f"cup-{n}"})
    durableq_env.send("price/wanted", {"supplier": "acme", "sku": "tea", "customer": "ada"})
    durableq_env.send("price/wanted", {"supplier": "acme", "sku": "tea", "customer": "bob"})
    durableq_env.run_until_idle()
    asked = [run.event.data["sku"] for run in durableq_env.runs if run.status == "completed" and run.event]
    assert len(asked) == 5  # the throttle's burst
    assert "tea" in asked
    durableq_env.run_to_end()
    assert outside.calls("price", "acme") == 11


def test_the_throttle_spaces_what_waits(durableq_env: TestEnv) -> None:
    before = durableq_env.now
    for n in range(8):
        durableq_env.send("price/wanted", {"supplier": f"supplier-{n}", "sku": "tea"})
    durableq_env.run_to_end()
    assert 3 <= (durableq_env.now - before).total_seconds() < 4
