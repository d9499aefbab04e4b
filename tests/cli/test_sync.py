"""`durableq sync`: what it registers, what it says it changed, and what it makes of releases that come and go."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from durableq.cli.main import main
from durableq.model.config import RELEASE_VARIABLES
from tests.cli.conftest import Demo
from tests.cli.project import Project, declares
from tests.durableq_command import Running, durableq, environment
from tests.servers import RealServer


class Releases:
    """Releases of an app `shop`, each with functions as given, synced in a process of its own, as in a release phase."""

    def __init__(self, project: Project, demo: Demo) -> None:
        self.project = project
        self.demo = demo
        self.env = environment(DURABLEQ_URL=demo.url)

    def write(self, *functions: str) -> None:
        """The code: each text a declaration, or the name of a function."""
        texts = [text if "\n" in text else declares(text) for text in functions]
        self.project.module("shop.py", "\n".join(["app = dq.App('shop')", *texts]))

    def sync(self, *arguments: str) -> str:
        done = durableq("sync", "shop", *arguments, cwd=self.project.directory, env=self.env)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def said(self, *arguments: str) -> Any:
        (found,) = json.loads(self.sync("--json", *arguments))
        return found

    def registered(self) -> list[str]:
        return [row["id"] for row in self.demo.said("functions")]


@pytest.fixture
def releases(project: Project, empty: Demo) -> Releases:
    return Releases(project, empty)


def test_the_first_one_adds_all_and_the_same_again_changes_nothing(releases: Releases) -> None:
    releases.write("pay", "ship")
    assert releases.sync("--release", "v1").splitlines() == [
        "shop, release v1: 2 functions",
        "  added    pay",
        "  added    ship",
    ]
    assert releases.registered() == ["shop/pay", "shop/ship"]
    assert releases.sync("--release", "v1") == "shop, release v1: 2 functions, nothing changed\n"
    assert releases.sync("--release", "v2") == "shop, release v2: 2 functions, nothing changed\n"


def test_what_was_added_changed_and_removed_is_said(releases: Releases) -> None:
    releases.write("pay", "ship", "old")
    releases.sync()
    releases.write(declares("pay", retries="7", name="'Payment'"), "ship", "new")
    said = releases.said("--release", "v2")
    assert said == {
        "app": "shop",
        "release": "v2",
        "functions": 3,
        "added": ["new"],
        "changed": [
            {
                "function": "pay",
                "options": [
                    {"option": "name", "before": "pay", "after": "Payment"},
                    {"option": "retries", "before": 4, "after": 7},
                ],
            }
        ],
        "removed": ["old"],
        "lingering": [],
    }
    releases.write(declares("pay", retries="1"), "ship", "new")
    assert "  changed  pay: name Payment -> pay, retries 7 -> 1\n" in releases.sync()


def test_what_cancels_runs_and_what_is_executed_when_they_fail_is_said_as_any_change(releases: Releases) -> None:
    releases.write("pay")
    releases.sync("--release", "v1")
    options = {"cancel_on": "dq.CancelOn('stop')", "timeouts": "dq.Timeouts(start=5)", "on_failure": "tell"}
    releases.write("async def tell(ctx: dq.Context) -> None: ...\n", declares("pay", **options))
    said = releases.said("--release", "v2")
    assert (said["added"], said["functions"]) == (["pay:on-failure"], 2)
    assert said["changed"] == [
        {
            "function": "pay",
            "options": [
                {"option": "cancel_on", "before": None, "after": [{"event": "stop"}]},
                {"option": "timeouts", "before": None, "after": {"start_ms": 5000, "finish_ms": 0}},
            ],
        }
    ]
    releases.write("pay")
    assert releases.said("--release", "v3")["removed"] == ["pay:on-failure"]


def test_a_function_that_no_worker_has_any_more_is_forgotten_at_once(releases: Releases) -> None:
    releases.write("pay", "old")
    releases.sync("--release", "v1")
    releases.write("pay")
    assert releases.sync("--release", "v2").splitlines()[1:] == ["  removed  old"]
    assert releases.registered() == ["shop/pay"]


def test_a_function_that_a_worker_still_has_stays_until_it_has_left(releases: Releases) -> None:
    releases.write("pay", "old")
    log = releases.project.directory / "log"
    worker = Running("worker", "shop", "--release", "v1", cwd=releases.project.directory, log=log, env=releases.env)
    try:
        worker.says("child.working")
        releases.write("pay")
        assert releases.sync("--release", "v2").splitlines()[1:] == ["  leaving  old: a worker still has it"]
        assert releases.registered() == ["shop/old", "shop/pay"]
        assert releases.said("--release", "v2")["lingering"] == ["old"]
        worker.signal(signal.SIGTERM)
        assert worker.ends() == 0
    finally:
        worker.kill()
    assert releases.said("--release", "v2")["lingering"] == []
    assert releases.registered() == ["shop/pay"]


def test_a_release_that_goes_back_is_the_newest_again(releases: Releases) -> None:
    releases.write("pay", "old")
    releases.sync("--release", "v1")
    releases.write("pay", "new")
    releases.sync("--release", "v2")
    releases.write("pay", "old")
    said = releases.said("--release", "v1")
    assert (said["added"], said["removed"]) == (["old"], ["new"])
    assert releases.registered() == ["shop/old", "shop/pay"]


def test_a_worker_of_an_older_release_says_that_what_it_declares_does_not_count(releases: Releases) -> None:
    releases.write("pay")
    releases.sync("--release", "v1")
    releases.sync("--release", "v2")

    def log_of(release: str) -> str:
        done = durableq(
            "worker", "shop", "--burst", "--release", release, cwd=releases.project.directory, env=releases.env
        )
        assert done.returncode == 0
        return done.stdout

    assert "release.older" not in log_of("v2")
    older = json.loads(next(line for line in log_of("v1").splitlines() if "release.older" in line))
    assert (older["app"], older["release"]) == ("shop", "v1")
    assert "durableq sync makes this one the newest" in older["hint"]


def test_without_a_name_the_release_is_the_platforms_or_a_hash_of_what_is_declared(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in RELEASE_VARIABLES:
        releases.env.pop(variable, None)
    releases.write("pay")
    first = releases.said()["release"]
    assert len(first) == 16
    assert releases.said()["release"] == first
    releases.env["HEROKU_RELEASE_VERSION"] = "v42"
    assert releases.said()["release"] == "v42"


def test_a_run_of_a_function_that_was_only_synced_waits_for_its_worker(releases: Releases) -> None:
    releases.write("pay")
    releases.sync()
    releases.demo.send("pay/asked")
    assert releases.demo.said("runs", "list") == [], "nobody has routed it, and sync executes nothing"


def sync(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["sync", *arguments], catch_exceptions=False)


def test_redis_away_is_waited_for_as_long_as_it_was_told(project: Project) -> None:
    project.app()
    done = sync("shop", "--redis-url", "redis://127.0.0.1:1", "--wait", "2s")
    assert (done.exit_code, done.stdout) == (69, "")
    assert "durableq sync: Redis is not reachable" in done.stderr
    assert "waiting for it (1 of 2 s)" in done.stderr
    assert "redis://127.0.0.1:1, from --redis-url" in done.stderr


def test_without_patience_there_is_one_attempt(project: Project, empty: Demo) -> None:
    project.app()
    assert sync("shop", "--redis-url", empty.url, "--wait", "0").exit_code == 0
    done = sync("shop", "--redis-url", "redis://127.0.0.1:1", "--wait", "0")
    assert done.exit_code == 69
    assert "waiting" not in done.stderr


def test_redis_that_comes_in_time_is_enough(
    project: Project, start_server: Callable[..., RealServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.app()
    server = start_server("valkey")
    server.kill()
    log = project.directory / "log"
    syncing = Running("sync", "shop", "--redis-url", server.url, cwd=project.directory, log=log)
    try:
        syncing.says("waiting for it")
        server.start()
        assert syncing.ends() == 0
        assert "added    pay" in syncing.output
    finally:
        syncing.kill()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no app was named"),
        (["absent"], "there is no module 'absent'"),
        (["broken"], "durableq: broken.py:1: ZeroDivisionError: division by zero"),
        (["shop", "--namespace", "other"], "app 'shop' was declared for namespace 'acme', but this process works in"),
        (["shop", "--redis-url", "http://x", "--namespace", "acme"], "must begin with redis://"),
    ],
)
def test_what_cannot_be_registered_is_refused(project: Project, arguments: list[str], message: str) -> None:
    project.app(more=", namespace='acme'")
    project.write("broken.py", "1 / 0")
    done = sync(*arguments)
    assert (done.exit_code, done.stdout) == (78, "")
    assert message in done.stderr


def test_a_server_that_evicts_is_refused_as_by_a_worker(
    project: Project, start_server: Callable[..., RealServer]
) -> None:
    project.app()
    server = start_server("valkey", maxmemory="50mb", maxmemory_policy="allkeys-lru")
    done = sync("shop", "--redis-url", server.url)
    assert done.exit_code == 78
    assert "Set maxmemory-policy to noeviction, or pass --allow-eviction" in done.stderr
    assert sync("shop", "--redis-url", server.url, "--allow-eviction").exit_code == 0


def test_redis_that_goes_away_in_between_is_not_waited_for_without_end(
    project: Project, empty: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    project.app()
    monkeypatch.setattr("durableq.cli.sync.check_server", silent)
    monkeypatch.setattr("durableq.cli.sync.ANSWER_S", 0.1)
    done = sync("shop", "--redis-url", empty.url)
    assert done.exit_code == 69
    assert "Redis went away, and did not come back within 0.1 s" in done.stderr


def test_flow_control_that_has_changed_is_said_in_words(releases: Releases) -> None:
    releases.write(declares("pay", concurrency="10"))
    releases.sync("--release", "v1")
    releases.write(declares("pay", concurrency="[5, dq.Concurrency(1, key='event.data.user')]", singleton="'skip'"))
    assert (
        "  changed  pay: concurrency 10 -> 5 and 1 per event.data.user, singleton none -> one, the rest is skipped\n"
        in releases.sync("--release", "v2")
    )


def test_flow_control_is_shown_with_the_functions(releases: Releases) -> None:
    releases.write(declares("pay", concurrency="10", idempotency="'event.data.cart_id'"), "ship")
    releases.sync()
    listed = durableq("functions", env=releases.env).stdout
    assert "\nshop/pay: idempotency once in 24h per event.data.cart_id; concurrency 10\n" in listed
    shown = json.loads(durableq("functions", "--json", env=releases.env).stdout)
    assert {one["id"]: one["flow"] for one in shown} == {
        "shop/pay": {
            "concurrency": [{"limit": 10, "key": None, "scope": "function", "hold": "turn"}],
            "idempotency": {"key": "event.data.cart_id"},
        },
        "shop/ship": {},
    }
