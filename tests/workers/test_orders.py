"""The order workflow, through the events that a shop would send."""

from __future__ import annotations

from typing import Any

import pytest

from durableq.testing import TestEnv
from workers import outside


def order(card: str = "visa", sku: str = "tea") -> dict[str, Any]:
    return {"order_id": "7", "card": card, "items": [{"sku": sku, "count": 2}]}


def test_an_order_is_paid_packed_and_announced(durableq_env: TestEnv) -> None:
    durableq_env.send("order/created", order())
    durableq_env.run_to_end()
    run = durableq_env.run_of("process-order")
    assert run.result == {"order": "7", "outcome": "shipped", "label": "LABEL-7-HOME", "invoice": "INVOICE-7-900"}
    assert durableq_env.step("reserve-tea").result == "tea x 2"
    assert outside.mails_to("order-7") == ["Your order is on its way: LABEL-7-HOME"]


def test_nothing_is_charged_before_the_grace_period_is_over(durableq_env: TestEnv) -> None:
    durableq_env.send("order/created", order())
    durableq_env.run_until_idle()
    assert durableq_env.only_run.status == "waiting"
    assert "charge-card" not in durableq_env.steps
    durableq_env.advance("1s")
    assert durableq_env.step("charge-card").calls == 1


def test_a_bank_that_is_away_is_asked_again_until_it_answers(durableq_env: TestEnv) -> None:
    durableq_env.send("order/created", order(card="flaky"))
    durableq_env.run_to_end()
    assert durableq_env.run_of("process-order").result["outcome"] == "shipped"
    assert durableq_env.step("charge-card").calls == 3


def test_a_bank_that_stays_away_fails_the_order_after_six_attempts(durableq_env: TestEnv) -> None:
    durableq_env.stub_step("charge-card", raises=outside.BankAway("closed for good"))
    durableq_env.send("order/created", order())
    durableq_env.run_to_end()
    error = durableq_env.run_of("process-order").error
    assert error is not None
    assert (error.name, error.message) == ("BankAway", "closed for good")
    assert durableq_env.step("charge-card").calls == 6
    assert outside.mails_to("order-7") == ["We are sorry: closed for good"]


def test_a_worker_that_dies_after_the_charge_charges_no_second_time(durableq_env: TestEnv) -> None:
    durableq_env.crash_worker(after_step="charge-card")
    durableq_env.send("order/created", order())
    durableq_env.run_to_end()
    run = durableq_env.run_of("process-order")
    assert run.result["outcome"] == "shipped"
    assert outside.calls("charge", f"charge-{run.id}") == 1


def test_a_worker_that_dies_before_the_charge_is_recorded_takes_the_money_once(durableq_env: TestEnv) -> None:
    durableq_env.crash_worker(before_record="charge-card")
    durableq_env.send("order/created", order())
    durableq_env.run_to_end()
    run = durableq_env.run_of("process-order")
    assert outside.calls("charge", f"charge-{run.id}") == 2
    assert (outside.count_payments(), outside.sum_payments()) == (1, 900)


@pytest.mark.parametrize("death", ["after_step", "before_record"])
@pytest.mark.parametrize(
    "step", ["load-order", "charge-card", "print-label", "reserve-tea", "write", "announce", "mail"]
)
def test_wherever_a_worker_dies_the_order_is_paid_once_and_told_once(
    durableq_env: TestEnv, step: str, death: str
) -> None:
    durableq_env.crash_worker(**{death: step})
    durableq_env.send("order/created", order())
    durableq_env.run_to_end()
    assert durableq_env.run_of("process-order").result["outcome"] == "shipped"
    assert outside.sum_payments() == 900
    assert outside.mails_to("order-7") == ["Your order is on its way: LABEL-7-HOME"]
    assert durableq_env.step(step).calls == (1 if death == "after_step" else 2)


def test_what_is_out_of_stock_is_refunded_and_said(durableq_env: TestEnv) -> None:
    durableq_env.send("order/created", order(sku="unobtainium"))
    durableq_env.run_to_end()
    assert durableq_env.run_of("process-order").result == {"order": "7", "outcome": "refunded"}
    assert outside.sum_payments() == 0
    assert outside.mails_to("order-7") == ["Your order cannot be had: 2 of 'unobtainium' were wanted, there are none"]


def test_a_declined_card_fails_the_run_at_the_first_attempt(durableq_env: TestEnv) -> None:
    durableq_env.send("order/created", order(card="declined"))
    durableq_env.run_to_end()
    error = durableq_env.run_of("process-order").error
    assert error is not None
    assert (error.name, error.message) == ("CardDeclined", "card 'declined' was declined")
    assert "workers/outside.py" in error.stack
    assert durableq_env.step("charge-card").calls == 1


def test_an_order_by_transfer_waits_for_its_own_payment_for_three_days(durableq_env: TestEnv) -> None:
    durableq_env.send("order/created", order(card="transfer"))
    durableq_env.advance("1m")
    durableq_env.send("payment/settled", {"order_id": "8", "payment": "transfer-8"})
    durableq_env.advance("2d")
    assert durableq_env.step("settled").status == "waiting"
    durableq_env.send("payment/settled", {"order_id": "7", "payment": "transfer-7"})
    durableq_env.run_to_end()
    assert durableq_env.run_of("process-order").result["outcome"] == "shipped"
    assert outside.sum_payments() == 0, "nobody's card was charged"


def test_an_order_that_is_never_paid_fails_and_the_customer_is_told(durableq_env: TestEnv) -> None:
    durableq_env.send("order/created", order(card="transfer"))
    durableq_env.run_to_end()
    assert durableq_env.step("settled").status == "timed out"
    assert outside.mails_to("order-7") == ["We are sorry: the order was not paid within 3 days"]


def test_the_invoice_is_a_run_of_its_own_and_is_written_once_whatever_dies(durableq_env: TestEnv) -> None:
    durableq_env.crash_worker(after_step="invoice")
    durableq_env.crash_worker(after_step="write")
    durableq_env.send("order/created", order())
    durableq_env.run_to_end()
    invoice = durableq_env.run_of("make-invoice")
    assert (invoice.parent, invoice.result) == (durableq_env.run_of("process-order").id, "INVOICE-7-900")
    assert outside.calls("invoice", "invoice-7") == 1


@pytest.mark.parametrize("card", ["visa", "transfer"])
def test_an_order_that_is_cancelled_within_the_grace_period_costs_nothing(durableq_env: TestEnv, card: str) -> None:
    durableq_env.send("order/created", order(card))
    durableq_env.run_until_idle()
    durableq_env.send("order/cancelled", {"order_id": "7"})
    durableq_env.run_to_end()
    assert durableq_env.run_of("process-order").status == "cancelled"
    assert (outside.sum_payments(), outside.mails_to("order-7")) == (0, [])


def test_an_order_that_is_cancelled_after_the_charge_is_refunded_by_another_function(durableq_env: TestEnv) -> None:
    durableq_env.stub_step("print-label", raises=ConnectionError("the printer is off"), times=1)
    durableq_env.send("order/created", order())
    durableq_env.advance("2s")
    assert outside.sum_payments() == 900
    durableq_env.send("order/cancelled", {"order_id": "7"})
    durableq_env.run_to_end()
    assert durableq_env.run_of("process-order").status == "cancelled"
    assert durableq_env.run_of("undo-order").status == "completed"
    assert outside.sum_payments() == 0


def test_an_order_without_items_starts_nothing(durableq_env: TestEnv) -> None:
    durableq_env.send("order/created", {"order_id": "6", "card": "visa", "items": []})
    durableq_env.run_until_idle()
    assert durableq_env.runs == []
