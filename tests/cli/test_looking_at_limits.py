"""`functions show`, `limits` and `runs` against a server with a worker at work, where limits hold runs up."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.conftest import Demo
from tests.durableq_command import until

pytestmark = pytest.mark.acceptance


def test_a_parked_run_its_function_and_its_key_are_shown(demo: Demo) -> None:
    first = demo.run(demo.send("demo/pace", '{"user": "ada b"}'), "waiting")
    second = demo.run(demo.send("demo/pace", '{"user": "ada b"}'), "queued")
    status = f"status    queued, waits for a slot of key 'ada b' (1 of 1 held by run {first})\n"
    until(lambda: status in demo.call("runs", "show", second).stdout, "the run to be parked")
    held_up = demo.said("runs", "show", second)["held_up"]
    assert (held_up["reason"], held_up["key"], [holder["run"] for holder in held_up["holders"]]) == (
        "concurrency",
        "ada b",
        [first],
    )
    listed = demo.call("runs", "list", "--function", "paces", "--status", "queued").stdout
    assert re.search(rf"^{second}  demo/paces  queued \(parked ada b\)  ", listed, re.M)

    limits = demo.call("limits", "--function", "paces").stdout
    assert re.search(rf"^demo/paces  concurrency  ada b  1 of 1  1 +\w+ +- +{first}$", limits, re.M)
    (key,) = [key for key in demo.said("limits", "--app", "demo")["keys"] if key["key"] == "ada b"]
    assert (key["parked"], key["oldest_run"], key["hold"]) == (1, second, "run")

    shown = demo.call("functions", "show", "paces").stdout
    assert "concurrency  1    event.data.user  held until the run ends\n" in shown
    assert re.search(rf"^concurrency  ada b  1 of 1  1 +\w+ +- +{first}$", shown, re.M)
    assert demo.said("functions", "show", "demo/paces")["due_now"] == 0


def test_what_a_rate_limit_left_out_is_shown_with_the_event(demo: Demo) -> None:
    demo.run(demo.send("demo/alert", '{"user": "u1"}'), "completed")
    dropped = demo.send("demo/alert", '{"user": "u1"}')

    def skips() -> list[str]:
        return [skip["event_id"] for skip in demo.said("functions", "show", "alerts")["skips"]]

    until(lambda: dropped in skips(), "the skip")
    shown = demo.call("functions", "show", "alerts").stdout
    assert re.search(rf"  demo/alert {dropped}  rate_limit  as many as may had started for key 'u1'$", shown, re.M)
    assert re.search(r"^rate_limit  u1   1 of 1 per 1h  -       -       in (1h|59m\d+s)  -$", shown, re.M)


def test_a_function_that_is_not_there_is_refused_with_what_was_meant(demo: Demo) -> None:
    wrong = demo.call("functions", "show", "pace")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "durableq: function 'pace': no such function here; did you mean 'paces'?\n" in wrong.stderr
    assert demo.call("limits", "--function", "pace").exit_code == 1


def test_listing_is_as_it_was_with_and_without_a_command(demo: Demo) -> None:
    listed = demo.call("functions").stdout
    assert re.search(r"^demo/paces +demo/pace ", listed, re.M)
    assert {view["id"] for view in demo.said("functions")} >= {"demo/paces", "demo/alerts"}
    assert json.loads(demo.call("functions", "--json").stdout)
    misspelt = demo.call("functions", "shwo", "paces")
    assert misspelt.exit_code == 2
