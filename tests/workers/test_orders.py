"""The order workflow, through the events that a shop would send."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers.conftest import Shop
from workers import outside

pytestmark = pytest.mark.acceptance


def order(order_id: str, card: str = "visa", sku: str = "tea") -> dict[str, Any]:
    return {"order_id": order_id, "card": card, "items": [{"sku": sku, "count": 2}]}


def test_an_order_is_paid_packed_and_announced(shop: Shop) -> None:
    run = shop.run("process-order", shop.send("order/created", order("1")))
    assert run.result == {"order": "1", "outcome": "shipped", "label": "LABEL-1-HOME"}
    assert [step.id for step in run.steps][:3] == ["load-order", "grace-period", "charge-card"]
    assert {step.id for step in run.steps[3:5]} == {"print-label", "reserve-tea"}
    assert run.steps[5].id == "announce"
    assert outside.calls("charge", f"charge-{run.id}") == 1


def test_the_shipped_order_starts_the_mail_to_the_customer(shop: Shop) -> None:
    run = shop.run("process-order", shop.send("order/created", order("2")))
    shop.run("tell-customer", run.steps[-1].result[0])
    assert outside.mails_to("order-2") == ["Your order is on its way: LABEL-2-HOME"]


def test_a_bank_that_is_away_is_asked_again_until_it_answers(shop: Shop) -> None:
    run = shop.run("process-order", shop.send("order/created", order("3", card="flaky")))
    assert run.result["outcome"] == "shipped"
    assert outside.calls("charge", f"charge-{run.id}") == 3
    assert [step.attempt for step in run.steps if step.id == "charge-card"] == [2]


def test_what_is_out_of_stock_is_refunded_and_said(shop: Shop) -> None:
    run = shop.run("process-order", shop.send("order/created", order("4", sku="unobtainium")))
    assert run.result == {"order": "4", "outcome": "refunded"}
    assert outside.calls("refund", f"charge-{run.id}") == 1
    shop.run("tell-customer", run.steps[-1].result[0])
    assert outside.mails_to("order-4") == ["Your order cannot be had: 2 of 'unobtainium' were wanted, there are none"]


def test_a_declined_card_fails_the_run_at_the_first_attempt(shop: Shop) -> None:
    run = shop.run("process-order", shop.send("order/created", order("5", card="declined")), "failed")
    assert run.error is not None
    assert (run.error.name, run.error.message) == ("CardDeclined", "card 'declined' was declined")
    assert "workers/outside.py" in run.error.stack
    assert outside.calls("charge", f"charge-{run.id}") == 1


def test_an_order_without_items_starts_nothing(shop: Shop) -> None:
    empty = shop.send("order/created", {"order_id": "6", "card": "visa", "items": []})
    later = shop.send("order/created", order("7"))
    shop.run("process-order", later)  # events of one name are routed in order: the empty one has been, too
    assert empty not in [run.event.id for run in shop.runs("process-order") if run.event]
