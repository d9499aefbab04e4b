"""What the example app declares, without any environment."""

from __future__ import annotations

from workers import outside
from workers.orders import load_order
from workers.shop import app


def test_the_app_has_its_functions_however_many_modules_hold_them() -> None:
    assert sorted(app.functions) == [
        "ask-price",
        "count-views",
        "index-product",
        "invite-team",
        "make-invoice",
        "process-order",
        "process-order:on-failure",
        "sales-report",
        "send-invitation",
        "tell-customer",
        "undo-order",
        "welcome",
    ]


def test_a_body_can_be_tested_as_the_plain_function_it_is() -> None:
    order = load_order({"order_id": "1", "card": "visa", "items": [{"sku": "tea", "count": 2}]})
    assert order.cents == 900


def test_the_bank_takes_the_money_of_a_key_once() -> None:
    outside.charge_card("key", "visa", 100)
    outside.charge_card("key", "visa", 100)
    assert (outside.calls("charge", "key"), outside.sum_payments()) == (2, 100)
