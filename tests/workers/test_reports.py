"""A `def` function does what an `async` one does."""

from __future__ import annotations

import pytest

from tests.workers.conftest import Shop
from workers import outside

pytestmark = pytest.mark.acceptance


def test_the_report_counts_what_was_paid_and_mails_it_once(shop: Shop) -> None:
    outside.charge_card("charge-of-the-report", "visa", 1250)
    run = shop.run("sales-report", shop.send("report/requested", {"to": "boss"}))
    assert run.result["count"] >= 1
    assert run.result["cents"] >= 1250
    assert [step.status for step in run.steps] == ["completed"] * 4
    (mail,) = outside.mails_to("boss")
    assert mail.startswith(f"{run.result['count']} payments, ")
