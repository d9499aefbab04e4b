"""How things look to people."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durableq.cli import texts
from durableq.cli.banner import paste_line
from durableq.cli.functions import _text as functions_text
from durableq.cli.run_text import run_text
from durableq.model.event import Event
from durableq.services.awaited import AwaitedView
from durableq.services.views import ErrorView, FunctionView, RunView, StepView

NOW_MS = 1_800_000_000_000
FUNCTION = FunctionView("shop/pay", "Pay", ("order/created",), 4, 0, 0, 0, 0, 1)
RUN = RunView("01RUN", "shop/pay", "running", NOW_MS, NOW_MS + 5, 0, 0, 0, 0, event=Event("order/created", {"n": 1}))


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    text = texts.table(("id", "status"), [("a", "completed"), ("long-id", "ok")])
    assert text.splitlines() == ["id       status", "a        completed", "long-id  ok"]


@given(st.text())
def test_no_text_can_move_the_cursor(text: str) -> None:
    assert texts.clean(text).isprintable()
    assert all(line.isprintable() for line in texts.clean_lines(text, "  ").split("\n"))


def test_an_escape_sequence_is_shown_and_not_obeyed() -> None:
    assert texts.clean("\x1b[31mred\x9b") == "\\x1b[31mred\\x9b"


@pytest.mark.parametrize(
    ("length_ms", "text"), [(-1, "0 ms"), (0, "0 ms"), (999, "999 ms"), (1020, "1.02 s"), (7_800_000, "2h10m")]
)
def test_a_length_is_short(length_ms: int, text: str) -> None:
    assert texts.length(length_ms) == text


def test_a_long_value_is_cut() -> None:
    assert texts.value(["x" * 100], 20) == '["xxxxxxxxxxxxxxxxx…'


def test_a_run_without_steps_has_no_table_of_them() -> None:
    assert "step" not in run_text(RUN, NOW_MS, None)


def test_a_queued_run_that_nobody_can_execute_says_so() -> None:
    queued = replace(RUN, status="queued")
    assert "queued; no worker that runs now has shop/pay" in run_text(queued, NOW_MS, 0)
    assert "no worker" not in run_text(queued, NOW_MS, 2)


def test_a_delayed_start_is_told_from_a_second_attempt() -> None:
    delayed = replace(RUN, status="waiting", started_at_ms=0, due_at_ms=NOW_MS + 90_000)
    assert "waiting for its start, " in run_text(delayed, NOW_MS, None)
    assert "(in 1m30s)" in run_text(delayed, NOW_MS, None)
    again = replace(delayed, started_at_ms=NOW_MS, attempt=1, error=ErrorView("Declined", "no"))
    text = run_text(again, NOW_MS + 100_000, None)
    assert "waiting for attempt 2 of the code outside its steps, " in text
    assert "(due now)" in text
    assert "error of attempt 1\n  Declined: no" in text


def test_a_wait_says_what_it_waits_for() -> None:
    nap = StepView("nap", "sleep", "sleeping", 0, NOW_MS, 0, NOW_MS + 3_600_000)
    pay = StepView(
        "pay", "run", "retrying", 2, NOW_MS, 0, NOW_MS + 15_000, error=ErrorView("Declined", "no", "frame\nno")
    )
    lines = run_text(replace(RUN, status="waiting", steps=(nap, pay)), NOW_MS, None).splitlines()
    assert "status    waiting for 'nap', 'pay'" in lines
    assert [line for line in lines if "until" in line and "(in 1h)" in line]
    (retry,) = [line for line in lines if "again at" in line]
    assert retry.split()[:4] == ["pay", "run", "retrying", "2"]
    assert lines[lines.index(retry) + 1 :][:2] == ["      frame", "      no"]


WAIT = StepView(
    "paid", "wait_for_event", "waiting", 0, NOW_MS, 0, NOW_MS + 3_600_000,
    awaited=AwaitedView(event="order/paid", condition="event.data.id == async.data.id"),
)  # fmt: skip


def lines_of(*steps: StepView, status: str = "waiting") -> list[str]:
    return run_text(replace(RUN, status=status, steps=steps), NOW_MS, None).splitlines()


def test_what_is_awaited_is_named_with_its_end() -> None:
    signal = replace(WAIT, id="ok", op="wait_for_signal", awaited=AwaitedView(signal="approve \x1b 7"))
    child = AwaitedView(function="shop/invoice", run="01CHILD", status="running")
    lines = lines_of(WAIT, signal, replace(WAIT, id="bill", op="invoke", awaited=child))
    assert "status    waiting for 'paid', 'ok', 'bill'" in lines
    told = [line for line in lines if "(in 1h)" in line]
    assert "event order/paid if event.data.id == async.data.id, until " in told[0]
    assert r"signal approve \x1b 7, until " in told[1]
    assert "run 01CHILD (shop/invoice, running), until " in told[2]
    assert [line.split()[3] for line in told] == ["-"] * 3, "nothing is tried"


def test_what_answered_is_named() -> None:
    paid = replace(WAIT, status="completed", ended_at_ms=NOW_MS, result=Event("order/paid", {"cents": 9}, id="e-1"))
    (line,) = [line for line in lines_of(paid) if line.startswith("  paid")]
    assert line.endswith('event order/paid e-1: {"cents": 9}')
    child = AwaitedView(function="shop/invoice", run="01CHILD", status="completed")
    (line,) = [line for line in lines_of(replace(paid, op="invoke", awaited=child, result="no 7")) if "01CHILD" in line]
    assert line.endswith('run 01CHILD (shop/invoice, completed): "no 7"')
    (line,) = [line for line in lines_of(replace(WAIT, status="timed out")) if "timed out" in line]
    assert line.endswith("event order/paid if event.data.id == async.data.id")


@pytest.mark.parametrize(("reached", "text"), [("01RUN", "run 01RUN"), (None, "nobody waited for it")])
def test_a_signal_that_was_sent_says_whom_it_reached(reached: str | None, text: str) -> None:
    sent = StepView("tell", "send_signal", "completed", 0, NOW_MS, NOW_MS, result=reached)
    assert [line for line in lines_of(sent) if line.startswith("  tell") and line.endswith(text)]


def test_a_cancelled_run_says_by_what_even_if_it_never_started() -> None:
    why = ErrorView("RunCancelled", "event order/cancelled (cancel_on)")
    run = replace(RUN, status="cancelled", started_at_ms=0, ended_at_ms=NOW_MS + 2000, error=why, parent="01PARENT")
    lines = run_text(run, NOW_MS, None).splitlines()
    assert "status    cancelled: event order/cancelled (cancel_on)" in lines
    assert "parent    run 01PARENT, which invoked it" in lines
    assert [line for line in lines if line.startswith("ended") and line.endswith(", 2.00 s later")]
    assert not [line for line in lines if line.startswith("error")]


def test_a_failed_run_names_the_run_of_its_on_failure() -> None:
    run = replace(RUN, status="failed", error=ErrorView("Declined", "no"), on_failure="01HANDLER")
    assert run_text(run, NOW_MS, None).splitlines()[-1] == "then      run 01HANDLER of its on_failure"


def test_a_run_that_waits_for_much_says_how_much() -> None:
    waits = [replace(WAIT, id=f"w{number}") for number in range(7)]
    assert "status    waiting for 'w0', 'w1', 'w2', 'w3', 'w4' and 2 more" in lines_of(*waits)


def test_what_ends_a_functions_runs_is_told_below_the_table() -> None:
    view = replace(
        FUNCTION, cancel_on=("order/cancelled if async.data.ok within 1h",), start_within_ms=5000,
        finish_within_ms=60_000, on_failure="shop/pay:on-failure",
    )  # fmt: skip
    assert functions_text([view]).splitlines()[-1] == (
        "shop/pay: cancelled on order/cancelled if async.data.ok within 1h; cancelled unless it starts within 5s; "
        "cancelled unless it finishes within 1m; a failure starts shop/pay:on-failure"
    )
    assert "shop/pay:" not in functions_text([FUNCTION])


def test_crashes_are_told() -> None:
    assert "crashed   its worker's process: killed by SIGKILL" in run_text(
        replace(RUN, crashes=("killed by SIGKILL",)), NOW_MS, None
    )


@pytest.mark.parametrize(
    ("triggers", "line"),
    [
        (("order/created",), "durableq send order/created --data '{}'"),
        (("a/b if event.data.x > 1", "c/d"), "durableq send c/d --data '{}'"),
        (("app/*",), "durableq send app/example --data '{}'"),
        (("two words",), "durableq send 'two words' --data '{}'"),
        (("cron 0 9 * * * UTC",), ""),
    ],
)
def test_the_line_to_paste_sends_an_event_that_starts_something(triggers: tuple[str, ...], line: str) -> None:
    assert paste_line("unix:///s", "default", {"shop/f": triggers}, {}) == line


def test_the_line_to_paste_names_what_would_be_looked_for_elsewhere() -> None:
    line = paste_line("unix:///s", "acme", {"shop/f": ("x",)}, {"REDIS_URL": "redis://production"})
    assert line.endswith("--redis-url unix:///s --namespace acme")
