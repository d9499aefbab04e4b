"""docs/cron.md: its table, and its code."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from durableq import App, CronTrigger
from tests.durableq_command import REPOSITORY

PAGE = (REPOSITORY / "docs" / "cron.md").read_text()
ROWS = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| `([^`]+)`, `([^`]+)` \|$", PAGE, re.M)


def test_there_are_rows() -> None:
    assert len(ROWS) == 10


@pytest.mark.parametrize(("expression", "zone", "first", "second"), ROWS)
def test_an_expression_ticks_when_the_page_says(expression: str, zone: str, first: str, second: str) -> None:
    start = datetime(2026, 3, 1, tzinfo=ZoneInfo(zone))
    ticks = CronTrigger(expression, timezone=zone).schedule().ticks_after(int(start.timestamp() * 1000))
    told = [datetime.fromtimestamp(tick / 1000, ZoneInfo(zone)).isoformat() for tick in islice(ticks, 2)]
    assert told == [first, second]


def test_its_code_declares_what_it_says() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
    module: dict[str, Any] = {"__name__": "page"}
    exec(code, module)
    app: App = module["app"]
    cron, _ = app.functions["daily-report"].triggers
    assert isinstance(cron, CronTrigger)
    assert (cron.jitter_ms, cron.overlap) == (30_000, "skip")
