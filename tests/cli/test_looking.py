"""`send`, `runs` and `functions` against a server with a worker at work."""

from __future__ import annotations

import json
import re
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from durableq.cli.naming import AmbiguousRun, whole_id
from durableq.client import Client
from durableq.services.views import RunView
from tests.cli.conftest import Demo
from tests.durableq_command import until

pytestmark = pytest.mark.acceptance


def test_send_prints_the_id_of_the_event(demo: Demo) -> None:
    sent = demo.call("send", "demo/add", "--data", '{"numbers": [1, 2]}', "--id", "given")
    assert (sent.exit_code, sent.stdout) == (0, "given\n")


def test_send_says_when_nothing_listens_and_what_was_meant(demo: Demo) -> None:
    heard = demo.call("send", "demo/add", "--data", '{"numbers": [1]}')
    assert heard.stderr == ""
    typo = demo.call("send", "demo/adds", "--json")
    assert typo.exit_code == 0
    assert json.loads(typo.stdout)["name"] == "demo/adds"
    assert (
        "'demo/adds' yet: nothing starts unless one is when a worker routes it. Did you mean demo/add?" in typo.stderr
    )
    assert "`durableq functions` lists what is" in demo.call("send", "quite/another").stderr


def test_send_is_quiet_about_an_event_that_a_run_waits_for_or_that_cancels(demo: Demo) -> None:
    demo.run(demo.send("demo/order", '{"id": 4}'), "waiting")
    assert demo.call("send", "demo/paid", "--data", '{"id": 5}').stderr == ""
    assert demo.call("send", "demo/stop", "--data", '{"id": 4}').stderr == ""


def test_a_completed_run_is_shown_with_its_steps_and_result(demo: Demo) -> None:
    run_id = demo.run(demo.send("demo/add", '{"numbers": [1, 41]}'), "completed")
    run = demo.said("runs", "show", run_id)
    assert (run["function"], run["status"], run["result"], run["error"]) == ("demo/adds", "completed", 42, None)
    assert [(step["id"], step["op"], step["status"], step["result"]) for step in run["steps"]] == [
        ("sum", "run", "completed", 42),
        ("pause", "sleep", "completed", None),
    ]
    text = demo.call("runs", "show", run_id).stdout
    assert re.search(r"^  sum    run    completed  1      \d+ ms +42$", text, re.M)
    assert text.endswith("\nresult    42\n")
    assert 'data      {"numbers": [1, 41]}\n' in text


def test_the_end_of_an_id_will_do(demo: Demo) -> None:
    run_id = demo.run(demo.send("demo/add", '{"numbers": [1, 41]}'), "completed")
    assert demo.said("runs", "show", run_id[-6:].lower())["id"] == run_id
    assert demo.said("runs", "show", run_id[-20:])["id"] == run_id
    too_short = demo.call("runs", "show", run_id[-5:])
    assert (too_short.exit_code, too_short.stdout) == (1, "")
    assert f"no run {run_id[-5:]!r}" in too_short.stderr


async def test_an_end_that_several_ids_have_is_answered_with_them() -> None:
    class TwoRuns:
        async def list(self, *, limit: int) -> list[RunView]:
            return [view("01AAAAAA"), view("02AAAAAA"), view("03BBBBBB")]

    client = cast(Client, SimpleNamespace(runs=TwoRuns()))
    with pytest.raises(
        AmbiguousRun, match=r"'aaaaaa' is the end of 2 ids: name one of 01AAAAAA \(a/f\), 02AAAAAA \(a/f\)"
    ):
        await whole_id(client, "aaaaaa")
    assert await whole_id(client, "bbbbbb") == "03BBBBBB"


def view(run_id: str) -> RunView:
    return RunView(run_id, "a/f", "completed", 1, 1, 1, attempt=0, due_at_ms=0, deaths=0)


def test_a_failed_run_is_shown_with_the_users_frames(demo: Demo) -> None:
    text = demo.shown("demo/pay", "failed", '{"cents": 5}')
    assert re.search(r"^  charge  run   failed  1 ", text, re.M)
    assert "tests/cli/demo.py" in text
    assert "in decline\n" in text
    assert "Declined: no \\x1b[31mmoney" in text
    assert "\x1b" not in text


def test_a_sleep_is_shown_with_its_end(demo: Demo) -> None:
    text = demo.shown("demo/sleep", "waiting")
    assert "status    waiting for 'nap'\n" in text
    assert re.search(r"^  nap   sleep  sleeping  -      -     until .* \(in (1h|59m\d+s)\)$", text, re.M)


def test_a_retry_is_shown_with_its_time_and_the_error_before(demo: Demo) -> None:
    text = demo.shown("demo/retry", "waiting")
    assert re.search(r"^  charge  run   retrying  1 .* again at .* \(in (1h\w*|5\dm\w*)\)$", text, re.M)
    assert "Declined: no" in text


def test_a_wait_is_shown_with_what_it_is_for_and_then_with_what_came(demo: Demo) -> None:
    event_id = demo.send("demo/order", '{"id": 1}')
    run_id = demo.run(event_id, "waiting")
    assert re.search(
        r"^  paid  wait_for_event  waiting  - +- +event demo/paid if event.data.id == async.data.id, until .* \(in \w+\)$",
        demo.call("runs", "show", run_id).stdout,
        re.M,
    )
    (wait,) = demo.said("runs", "show", run_id)["steps"]
    assert (wait["status"], wait["awaited"]["event"], wait["awaited"]["run"]) == ("waiting", "demo/paid", None)

    paid_id = demo.send("demo/paid", '{"id": 1, "numbers": [2, 3]}')
    assert demo.run(event_id, "completed") == run_id
    run = demo.said("runs", "show", run_id)
    assert [step["status"] for step in run["steps"]] == ["completed", "completed"]
    assert run["steps"][0]["result"]["id"] == paid_id
    child = run["steps"][1]["awaited"]
    assert (child["function"], child["status"], run["result"]) == ("demo/adds", "completed", 5)
    assert demo.said("runs", "show", child["run"])["parent"] == run_id
    text = demo.call("runs", "show", run_id).stdout
    assert f"event demo/paid {paid_id}: " in text
    assert f"run {child['run']} (demo/adds, completed): 5" in text
    assert f"parent    run {run_id}, which invoked it" in demo.call("runs", "show", child["run"]).stdout


def test_a_cancelled_run_is_listed_as_such_and_shown_with_what_cancelled_it(demo: Demo) -> None:
    event_id = demo.send("demo/order", '{"id": 2}')
    run_id = demo.run(event_id, "waiting")
    demo.send("demo/stop", '{"id": 2}')
    assert demo.run(event_id, "cancelled") == run_id
    text = demo.call("runs", "show", run_id).stdout
    assert "status    cancelled: event demo/stop (cancel_on)\n" in text
    assert re.search(r"^  paid  wait_for_event  void ", text, re.M)
    assert {row["status"] for row in demo.said("runs", "list", "--status", "cancelled")} == {"cancelled"}


def test_a_failed_run_names_the_run_of_its_on_failure(demo: Demo) -> None:
    event_id = demo.send("demo/order", '{"id": 3}')
    demo.run(event_id, "waiting")
    demo.send("demo/paid", '{"id": 3, "numbers": []}')
    run_id = demo.run(event_id, "failed")
    handler = until(lambda: demo.said("runs", "show", run_id)["on_failure"], "the run of on_failure")
    assert demo.said("runs", "show", handler)["function"] == "demo/orders:on-failure"
    assert demo.call("runs", "show", run_id).stdout.endswith(f"\nthen      run {handler} of its on_failure\n")


def test_what_ends_a_functions_runs_is_listed_below_the_functions(demo: Demo) -> None:
    line = (
        "demo/orders: cancelled on demo/stop if event.data.id == async.data.id within 2h; cancelled unless it finishes "
        "within 1d; a failure starts demo/orders:on-failure"
    )
    assert line in demo.call("functions").stdout.splitlines()
    (view,) = [view for view in demo.said("functions") if view["id"] == "demo/orders"]
    assert (view["finish_within_ms"], view["on_failure"]) == (86_400_000, "demo/orders:on-failure")


def test_an_attempt_of_the_code_outside_steps_is_shown_with_its_error(demo: Demo) -> None:
    text = demo.shown("demo/raise", "waiting")
    assert "status    waiting for attempt 2 of the code outside its steps, " in text
    assert "Declined: outside" in text


def test_the_list_is_newest_first_and_can_be_narrowed(demo: Demo) -> None:
    for _ in range(3):
        demo.run(demo.send("demo/add", '{"numbers": [1]}'), "completed")
    rows = demo.said("runs", "list", "--function", "demo/adds", "--status", "completed,failed", "--limit", "2")
    assert len(rows) == 2
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), reverse=True)
    assert {row["function"] for row in rows} == {"demo/adds"}
    assert demo.said("runs", "list", "--function", "adds", "--limit", "2") == rows
    head, *lines = demo.call("runs", "list", "--function", "adds", "--limit", "2").stdout.splitlines()
    assert head.split() == ["id", "function", "status", "created", "took"]
    assert [line.split()[0] for line in lines] == [row["id"] for row in rows]


def test_functions_are_listed_with_triggers_counts_and_workers(demo: Demo) -> None:
    found = {view["id"]: view for view in demo.said("functions")}
    assert found["demo/declines"]["triggers"] == ["demo/pay if event.data.cents > 0"]
    assert found["demo/declines"]["retries"] == 0
    assert found["demo/adds"]["name"] == "Adds two numbers"
    assert {view["workers"] for view in found.values()} == {1}
    text = demo.call("functions").stdout
    assert re.search(r"^demo/declines +demo/pay if event\.data\.cents > 0 +0 ", text, re.M)


def test_a_trigger_that_could_not_be_evaluated_is_told_with_the_reason(demo: Demo) -> None:
    demo.send("demo/pay", '{"cents": "many"}')
    demo.run(demo.send("demo/pay", '{"cents": 1}'), "failed")  # events of one name are routed in order
    (view,) = [view for view in demo.said("functions") if view["id"] == "demo/declines"]
    assert view["faults"] >= 1
    assert "no order between string and int" in view["last_fault"]
    assert "demo/declines: a trigger could not be evaluated " in demo.call("functions").stdout


def test_a_function_that_two_letters_are_wrong_in_is_guessed(demo: Demo) -> None:
    done = demo.call("runs", "list", "--function", "demo/ads")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "durableq: --function 'demo/ads': no such function here; did you mean 'demo/adds'?\n"


def test_cron_triggers_are_listed_with_their_next_tick(demo: Demo) -> None:
    def ticking() -> Any:
        (view,) = [view for view in demo.said("functions") if view["id"] == "demo/reports"]
        return view if view["crons"][0]["due_at_ms"] else None

    view = until(ticking, "a scheduler has looked at the trigger")
    (cron,) = view["crons"]
    assert view["triggers"] == ["cron 0 9 29 2 * Europe/Paris"]
    due = datetime.fromtimestamp(cron["next_tick_ms"] / 1000, ZoneInfo("Europe/Paris"))
    assert (due.month, due.day, due.hour, due.minute) == (2, 29, 9, 0)
    assert 0 <= cron["due_at_ms"] - cron["next_tick_ms"] < 30_000
    assert (cron["ticks"], cron["last_run"], cron["skipped"], cron["missed"]) == (0, None, 0, 0)
    text = demo.call("functions").stdout
    assert re.search(
        r"^demo/reports +0 9 29 2 \* Europe/Paris +20\d\d-02-29 .* \(in \d+d\d*h?\) +- +0 +0 +0$", text, re.M
    )
