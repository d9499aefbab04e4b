"""What is refused at the prompt: each error names the flag or the thing, the rule and the value, and has its exit code."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from durableq.cli.main import main
from tests.cli.conftest import Demo
from tests.durableq_command import durableq
from tests.servers import RealServer

CLOSED = "redis://127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        # the command line: 2
        (["send", "a/b", "--data", "[1]"], 2, "--data must be a JSON object, not list"),
        (["send", "a/b", "--data", "{"], 2, "--data must be a JSON object: Expecting"),
        (["send", " a"], 2, "event name"),
        (["send", "durableq/x"], 2, "durableq/"),
        (["send", "a/b", "--ts", "soon"], 2, "'--ts' (env var: 'DURABLEQ_SEND_TS'): 'soon' is not a valid integer"),
        (
            ["runs", "list", "--status", "done"],
            2,
            "'--status' (env var: 'DURABLEQ_RUNS_STATUS'): status must be one of queued, running",
        ),
        (
            ["runs", "list", "--limit", "1001"],
            2,
            "'--limit' (env var: 'DURABLEQ_RUNS_LIMIT'): 1001 is not in the range 1<=x<=1000",
        ),
        (["worker", "a:b", "--grace", "soon"], 2, "'soon' is not a duration"),
        (["worker", "a:b", "--grace", "nan"], 2, "must be finite, not nan"),
        (["worker", "a:b", "--concurrency", "many"], 2, "'many' is not a valid integer"),
        (["worker", "a:b", "--log-level", "loud"], 2, "'loud' is not one of"),
        (["nothing"], 2, "No such command 'nothing'"),
        # settings: 78
        (["worker"], 78, "no app was named: pass MODULE:APP, set DURABLEQ_APP, or write app ="),
        (["dev"], 78, "no app was named: pass MODULE:APP, set DURABLEQ_APP, or write app ="),
        (["worker", "my-shop"], 78, "app 'my-shop' must be written MODULE:APP"),
        (["worker", "a/b.py:app"], 78, "app 'a/b.py:app' is a path: write a.b:app"),
        (["scheduler", "shop:"], 78, "app 'shop:' must be written MODULE:APP"),
        (["dev", "a:b:c"], 78, "app 'a:b:c' must be written MODULE:APP"),
        (["worker", "a:b", "--concurrency", "0"], 78, "--concurrency must be 1 to 10000, not 0"),
        (["worker", "a:b", "--processes", "257"], 78, "--processes must be 1 to 256, not 257"),
        (["worker", "a:b", "--stuck-after", "1s"], 78, "--stuck-after must be 5 to 86400, not 1"),
        (["worker", "a:b", "--grace", "2d"], 78, "--grace must be 0 to 86400, not 172800"),
        (["worker", "a:b", "--namespace", "A B"], 78, "namespace 'A B' is not allowed"),
        (["functions", "--redis-url", "http://x"], 78, "must begin with redis://"),
        (["functions", "--redis-url", "redis+cluster://x"], 78, "not supported yet"),
        (["functions", "--redis-url", ""], 78, "--redis-url is empty"),
    ],
)
def test_it_is_refused(arguments: list[str], code: int, message: str) -> None:
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (code, "")
    assert message in done.stderr
    flags = [word for word in arguments if word.startswith("--")]
    assert flags == [] or flags[0] in done.stderr or "redis_url" in done.stderr or "namespace" in done.stderr


def test_a_setting_in_a_variable_is_refused_by_the_name_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DURABLEQ_PROCESSES", "two")
    done = CliRunner().invoke(main, ["worker", "a:b"])
    assert done.exit_code == 2
    assert "'--processes'" in done.stderr
    assert "DURABLEQ_PROCESSES" in done.stderr
    assert "'two' is not a valid integer" in done.stderr


def test_an_unknown_run_is_an_error(empty: Demo) -> None:
    done = empty.call("runs", "show", "01NOSUCHRUN")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "durableq: no run '01NOSUCHRUN' in namespace 'default': it never was, or its retention is over\n"
    )


def test_an_unknown_function_is_an_error(empty: Demo) -> None:
    done = empty.call("runs", "list", "--function", "shop/pay")
    assert done.exit_code == 1
    assert "`durableq functions` lists those that are registered" in done.stderr


def test_an_empty_namespace_is_no_error(empty: Demo) -> None:
    assert empty.call("runs", "list").stdout == "no runs\n"
    assert empty.said("runs", "list") == []
    assert "a worker registers those of its apps when it starts" in empty.call("functions").stdout
    assert empty.said("functions") == []


@pytest.mark.parametrize(
    "arguments", [["runs", "list"], ["runs", "show", "x"], ["functions"], ["send", "a/b"]], ids=lambda words: words[0]
)
def test_redis_away_is_told_within_two_seconds(arguments: list[str]) -> None:
    began_s = time.monotonic()
    done = CliRunner().invoke(main, [*arguments, "--redis-url", CLOSED], catch_exceptions=False)
    assert done.exit_code == 69
    assert time.monotonic() - began_s < 2.5
    assert "Redis is not reachable" in done.stderr
    assert f"{CLOSED}, from --redis-url" in done.stderr
    if arguments[0] == "send":
        assert "1 not stored, 0 may have been stored" in done.stderr


def test_a_redis_that_hangs_is_told_within_two_seconds(start_server: Callable[..., RealServer]) -> None:
    server = start_server("valkey")
    server.pause()
    began_s = time.monotonic()
    done = Demo(server).call("runs", "list")
    assert done.exit_code == 69
    assert time.monotonic() - began_s < 3
    assert "Redis did not answer within 1.8 s" in done.stderr


def test_a_wrong_password_is_told_with_the_remedy(start_server: Callable[..., RealServer]) -> None:
    server = start_server("valkey", tcp=True)
    url = f"redis://:wrong@127.0.0.1:{server.port}"
    for arguments in (["functions"], ["send", "a/b"]):
        done = CliRunner().invoke(main, [*arguments, "--redis-url", url], catch_exceptions=False)
        assert done.exit_code == 78
        assert "Correct the user and password in the URL" in done.stderr
        assert "wrong" not in done.stderr


def test_data_can_come_from_standard_input(empty: Demo) -> None:
    done = durableq("send", "a/b", "--data", "-", "--id", "x", "--redis-url", empty.url, given='{"n": 1}')
    assert (done.returncode, done.stdout) == (0, "x\n")


def test_apps_can_be_named_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DURABLEQ_APP", "a:b, c:")
    done = CliRunner().invoke(main, ["worker"])
    assert "app 'c:' must be written MODULE:APP" in done.stderr
    assert "(from DURABLEQ_APP)" in done.stderr
