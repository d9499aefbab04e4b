"""The lines of `durableq dev`'s log."""

from __future__ import annotations

import os
from typing import Any

import pytest
import structlog

from durableq.cli.friendly import UNSAID, Friendly

RUN = {"app": "shop", "function": "pay", "run": "01M82GQHWV00S4END4MT715FH7", "child": 7}
AT = "20:51:07.123456"


def line(event: str, *, colours: bool = False, level: str = "info", **fields: Any) -> str:
    friendly = Friendly(colours=colours, everything=False)
    return friendly(None, "", {"event": event, "level": level, "timestamp": AT, **fields})


def said(event: str, **fields: Any) -> str:
    """What is said behind time, process and run."""
    head = "20:51:07.123  worker 7        shop/pay 715FH7  "
    text = line(event, **RUN, **fields)
    assert text.startswith(head)
    return text.removeprefix(head)


@pytest.mark.parametrize(
    ("event", "fields", "text"),
    [
        (
            "event.left_out",
            {"what": "event order/created", "reason": "rate_limit", "why": "as many as may had started for key 'u1'"},
            "event order/created starts nothing of shop/pay: rate_limit, as many as may had started for key 'u1'",
        ),
        (
            "triggers.left_out",
            {"count": 2, "reasons": "as those above"},
            "2 more triggers of shop/pay start nothing: as those above",
        ),
        (
            "event.held_back",
            {"by": "debounce of key '1'", "fires_in": "5s"},
            "an event for shop/pay is held back: debounce of key '1', fires in 5s",
        ),
        (
            "runs.parked",
            {"runs": 1, "waits_for": "a slot of key '7' (1 of 1 held)"},
            "1 run of shop/pay parked: waiting for a slot of key '7' (1 of 1 held)",
        ),
        (
            "function.paused",
            {"meanwhile": "left out"},
            "function shop/pay is paused: what is triggered meanwhile is left out",
        ),
        ("function.resumed", {}, "function shop/pay goes on"),
    ],
)
def test_what_flow_control_does_is_said_by_the_scheduler(event: str, fields: dict[str, Any], text: str) -> None:
    written = line(event, process="scheduler", function="shop/pay", **fields)
    assert written == f"20:51:07.123  scheduler       {text}"


@pytest.mark.parametrize(
    ("event", "fields", "text"),
    [
        ("run.started", {"by": "order/created"}, "started by order/created"),
        ("run.started", {"by": ""}, "started"),
        ("run.resumed", {}, "goes on"),
        ("run.completed", {"took_ms": 1020}, "completed in 1.02 s"),
        ("step.recorded", {"step": "load", "took_ms": 4}, "step load done in 4 ms"),
        ("step.sleeping", {"step": "nap", "sleeps": "2h"}, "step nap sleeps 2h"),
        (
            "step.waiting",
            {"step": "paid", "waits_for": "event order/paid", "within": "3d"},
            "step paid waits for event order/paid, for up to 3d",
        ),
        ("step.answered", {"step": "paid", "by": "event order/paid"}, "step paid is answered: event order/paid"),
        ("run.cancelled", {"why": "event order/cancelled (cancel_on)"}, "cancelled: event order/cancelled (cancel_on)"),
        (
            "run.retrying",
            {"attempt": 0, "error": "Declined: no", "at": "{here}/shop.py:3", "retry_in": "15s"},
            "failed, attempt 1: Declined: no, at shop.py:3, again in 15s",
        ),
        (
            "step failed",
            {"step": "charge", "attempt": 1, "error": "Declined: no", "at": "", "final": "attempt 2 of 2 failed"},
            "step charge failed for good, attempt 2: Declined: no: attempt 2 of 2 failed",
        ),
        ("hello {you}", {"step": "load", "attempt": 0, "n": 1}, "[load] hello {you}  n=1"),
    ],
)
def test_what_happens_is_said_in_words(event: str, fields: dict[str, Any], text: str) -> None:
    if "at" in fields:
        fields = {**fields, "at": fields["at"].format(here=os.getcwd())}  # each test has its own directory
    assert said(event, **fields) == text


@pytest.mark.parametrize(
    ("event", "fields", "text"),
    [
        (
            "cron.ticked",
            {"function": "shop/report", "cron": "cron 0 9 * * * UTC", "runs": 1, "tick_ms": 5},
            "cron 0 9 * * * UTC: 1 run of shop/report started",
        ),
        (
            "cron.missed",
            {"function": "shop/report", "cron": "cron 0 9 * * * UTC", "ticks": 3, "catch_up": "latest"},
            "cron 0 9 * * * UTC: 3 ticks of shop/report missed while nobody was there, and left out (catch_up: latest)",
        ),
        (
            "cron.skipped",
            {"function": "shop/report", "cron": "cron 0 9 * * * UTC", "ticks": 1, "reason": "the run before goes on"},
            "cron 0 9 * * * UTC: 1 tick of shop/report left out: the run before goes on",
        ),
        (
            "redis.away",
            {"url": "redis://h:1", "waiting_s": 3, "reason": "refused"},
            "redis://h:1 cannot be reached, for 3 s so far: refused",
        ),
        ("child.died", {"child": 7, "how": "signal 9", "in_hand": 0}, "process 7 died: signal 9"),
        (
            "runs.handed_back",
            {"runs": 1, "lease": "a1"},
            "1 run handed back, to go on from the last recorded step; what has killed three processes fails",
        ),
    ],
)
def test_what_happens_to_no_single_run_is_said_in_words(event: str, fields: dict[str, Any], text: str) -> None:
    assert line(event, process="scheduler", **fields) == f"20:51:07.123  scheduler       {text}"


def test_who_says_it_is_visible() -> None:
    assert line("hello") == "20:51:07.123  dev             hello"
    assert line("hello", process="scheduler") == "20:51:07.123  scheduler       hello"


def test_colours_are_for_terminals() -> None:
    assert "\x1b[" not in line("run.completed", took_ms=1, **RUN)
    assert "\x1b[32mcompleted in 1 ms" in line("run.completed", took_ms=1, colours=True, **RUN)
    assert "\x1b[33mwatch out" in line("watch out", level="warning", colours=True)


def test_what_users_write_cannot_move_the_cursor() -> None:
    assert "\x1b" not in line("\x1b[2Jgone", **RUN, key="\x1b[2J")
    assert "\x1b" not in line("run.started", by="\x1b[2J", **RUN)


@pytest.mark.parametrize("event", sorted(UNSAID))
def test_what_a_person_can_do_nothing_with_is_left_to_the_level_debug(event: str) -> None:
    with pytest.raises(structlog.DropEvent):
        line(event)
    assert event in Friendly(colours=False, everything=True)(None, "", {"event": event})


def test_a_users_own_event_of_a_known_name_is_no_error() -> None:
    assert line("run.completed", took_ms="long", attempt="first", **RUN).endswith("completed in long")
    assert "?" in line("step.recorded", **RUN)


def test_an_exception_is_shown_by_the_users_frames() -> None:
    try:
        raise ValueError("no\x1b[2J")
    except ValueError:
        text = line("oh", exc_info=True)
    assert f'File "{__file__}"' in text
    assert "    ValueError: no\\x1b[2J" in text


def test_a_syntax_error_is_shown_with_its_place() -> None:
    try:
        compile("x = (", "shop.py", "exec")
    except SyntaxError as error:
        text = line("child.failed", exc_info=error)
    assert "its code cannot be imported" in text
    assert "x = (" in text
    assert "^" in text
