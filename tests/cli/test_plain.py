"""Views as JSON: what programs may rely on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given

from durableq.cli import plain
from durableq.model.event import Event
from durableq.services.awaited import AwaitedView
from durableq.services.views import CronView, ErrorView, FunctionView, RunView, StepView
from tests.words.strategies import storable

STEP = StepView("pay", "run", "failed", 2, 1000, 1500, error=ErrorView("Declined", "no", "frames"))
RUN = RunView(
    "01RUN", "shop/pay", "failed", 900, 1000, 0, 0, 0, 1,
    event=Event("order/created", {"n": 1}, id="e1", ts=1_700_000_000_000), steps=(STEP,), crashes=("killed",),
)  # fmt: skip


def test_a_run_has_these_fields() -> None:
    assert plain.whole_run(RUN) == {
        "id": "01RUN",
        "function": "shop/pay",
        "status": "failed",
        "created_at_ms": 900,
        "started_at_ms": 1000,
        "ended_at_ms": None,
        "due_at_ms": None,
        "attempt": 0,
        "deaths": 1,
        "parent": None,
        "rerun_of": None,
        "rerun_as": None,
        "held_up": None,
        "event": {
            "name": "order/created",
            "id": "e1",
            "ts": 1_700_000_000_000,
            "data": {"n": 1},
            "user": None,
            "v": None,
        },
        "events": [],
        "steps": [
            {
                "id": "pay",
                "occurrence": 1,
                "op": "run",
                "status": "failed",
                "attempt": 2,
                "started_at_ms": 1000,
                "ended_at_ms": 1500,
                "due_at_ms": None,
                "result": None,
                "error": {"name": "Declined", "message": "no", "stack": "frames"},
                "awaited": None,
            }
        ],
        "result": None,
        "error": None,
        "crashes": ["killed"],
        "on_failure": None,
    }


def test_a_run_of_a_list_is_the_beginning_of_that() -> None:
    whole = plain.whole_run(RUN)
    listed = plain.listed_run(RUN)
    assert list(whole)[: len(listed)] == list(listed)


def test_a_function_has_these_fields() -> None:
    view = FunctionView("shop/pay", "Pay", ("order/created",), 4, 1, 2, 3, 4, 0)
    assert plain.function(view) == {
        "id": "shop/pay",
        "name": "Pay",
        "triggers": ["order/created"],
        "retries": 4,
        "queued": 1,
        "waiting": 2,
        "completed": 3,
        "failed": 4,
        "cancelled": 0,
        "workers": 0,
        "faults": 0,
        "last_fault": None,
        "crons": [],
        "cancel_on": [],
        "start_within_ms": None,
        "finish_within_ms": None,
        "on_failure": None,
        "flow": {},
        "paused": None,
        "paused_at_ms": None,
    }


def test_a_step_says_what_it_waits_for() -> None:
    child = AwaitedView(function="shop/invoice", run="01CHILD", status="running")
    step = StepView("invoice", "invoke", "waiting", 0, 1000, 0, due_at_ms=9000, awaited=child)
    (found,) = plain.whole_run(replace(RUN, steps=(step,), parent="01PARENT"))["steps"]
    assert found["awaited"] == {
        "event": None, "if": None, "signal": None, "function": "shop/invoice", "run": "01CHILD", "status": "running",
        "sender": None,
    }  # fmt: skip


def test_an_event_that_answered_a_wait_is_written_as_the_event_of_a_run_is() -> None:
    step = StepView("paid", "wait_for_event", "completed", 0, 0, 1500, result=RUN.event)
    whole = plain.whole_run(replace(RUN, steps=(step,)))
    assert whole["steps"][0]["result"] == whole["event"]


def test_a_cron_trigger_has_these_fields() -> None:
    cron = CronView("0 9 * * *", "Europe/Paris", 2000, 2030, 3, 1000, "01RUN", 1, 900, 0, 0)
    view = FunctionView("shop/pay", "Pay", ("cron 0 9 * * * Europe/Paris",), 4, 1, 2, 3, 4, 0, crons=(cron,))
    assert plain.function(view)["crons"] == [
        {
            "cron": "0 9 * * *",
            "timezone": "Europe/Paris",
            "next_tick_ms": 2000,
            "due_at_ms": 2030,
            "ticks": 3,
            "last_tick_ms": 1000,
            "last_run": "01RUN",
            "skipped": 1,
            "skipped_tick_ms": 900,
            "missed": 0,
            "missed_at_ms": None,
        }
    ]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (b"\x00\xff", "AP8="),
        ((1, (2,)), [1, [2]]),
        ({3, 1, 2}, [1, 2, 3]),
        (datetime(2027, 1, 31, 9, 0, tzinfo=UTC), "2027-01-31T09:00:00+00:00"),
        (date(2027, 1, 31), "2027-01-31"),
        (timedelta(minutes=1, milliseconds=5), 60.005),
        (Decimal("1.50"), "1.50"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**80, 2**80),
    ],
)
def test_what_json_has_no_word_for_is_written_as_text(value: Any, written: Any) -> None:
    assert plain.plain({"a": [value]}) == {"a": [written]}


@given(storable)
def test_whatever_can_be_stored_can_be_written(value: Any) -> None:
    json.dumps(plain.plain(value), allow_nan=False).encode()
