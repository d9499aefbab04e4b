"""A `def` function does what an `async` one does, when it is asked to and on Mondays."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from durableq.testing import TestEnv
from workers import outside


def test_the_report_counts_what_was_paid_and_mails_it_once(durableq_env: TestEnv) -> None:
    outside.charge_card("one", "visa", 1250)
    outside.charge_card("two", "visa", 250)
    durableq_env.send("report/requested", {"to": "boss"})
    durableq_env.run_to_end()
    assert durableq_env.only_run.result == {"count": 2, "cents": 1500}
    assert outside.mails_to("boss") == [f"2 payments, 15.00 in all, as of {durableq_env.now:%Y-%m-%d}"]


def test_the_office_gets_one_every_monday_at_seven_in_paris(durableq_env: TestEnv) -> None:
    outside.charge_card("one", "visa", 1250)
    durableq_env.advance("21d")
    paris = ZoneInfo("Europe/Paris")
    ticks = [datetime.fromisoformat(run.event.data["scheduled_at"]).astimezone(paris) for run in durableq_env.runs]
    assert [(tick.weekday(), tick.hour, tick.minute) for tick in ticks] == [(0, 7, 0)] * 3
    assert len(outside.mails_to("the-office")) == 3
