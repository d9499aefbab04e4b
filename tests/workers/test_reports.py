"""A `def` function does what an `async` one does."""

from __future__ import annotations

from durableq.testing import TestEnv
from workers import outside


def test_the_report_counts_what_was_paid_and_mails_it_once(durableq_env: TestEnv) -> None:
    outside.charge_card("one", "visa", 1250)
    outside.charge_card("two", "visa", 250)
    durableq_env.send("report/requested", {"to": "boss"})
    durableq_env.run_to_end()
    assert durableq_env.only_run.result == {"count": 2, "cents": 1500}
    assert outside.mails_to("boss") == [f"2 payments, 15.00 in all, as of {durableq_env.now:%Y-%m-%d}"]
