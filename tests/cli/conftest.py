"""A server with a worker on the demo app, and commands called in this process."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from durableq.cli.main import main
from durableq.model.config import URL_VARIABLES
from tests.cli.project import Project
from tests.durableq_command import REPOSITORY, Running, environment, until
from tests.servers import VALKEY, RealServer, ServerPool

APP = "tests.cli.demo:app"


class Demo:
    """The demo app at work, and the command line that looks at it."""

    def __init__(self, server: RealServer) -> None:
        self.url = server.url

    def call(self, *arguments: str) -> Result:
        """A command on this server."""
        return CliRunner().invoke(main, [*arguments, "--redis-url", self.url], catch_exceptions=False)

    def said(self, *arguments: str) -> Any:
        """What it answers with --json."""
        done = self.call(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def send(self, name: str, data: str = "{}") -> str:
        """Send an event and return its id."""
        return str(self.said("send", name, "--data", data)["id"])

    def run(self, event_id: str, status: str) -> str:
        """Wait until the run that this event starts has this status, and return its id."""

        def found() -> str | None:
            for row in self.said("runs", "list", "--status", status):
                if self.said("runs", "show", row["id"])["event"]["id"] == event_id:
                    return str(row["id"])
            return None

        return until(found, f"a {status} run of event {event_id}")

    def shown(self, name: str, status: str, data: str = "{}") -> str:
        """Send an event, and return what `runs show` prints of its run once it has this status."""
        return self.call("runs", "show", self.run(self.send(name, data), status)).stdout


@pytest.fixture(scope="session")
def demo(server_pool: ServerPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """For all tests of the session: each looks at the runs of its own events."""
    server = server_pool.start(VALKEY)
    log = tmp_path_factory.mktemp("demo") / "log"
    worker = Running(
        "worker", APP, "--with-scheduler", cwd=REPOSITORY, log=log, env=environment(DURABLEQ_URL=server.url)
    )
    try:
        worker.says("child.working")
        yield Demo(server)
    finally:
        worker.kill()


@pytest.fixture
def empty(server_pool: ServerPool) -> Demo:
    """A server without apps and workers."""
    server = server_pool.shared(VALKEY)
    server.flush()
    return Demo(server)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, and no variable that names a Redis or an app."""
    for name in (*URL_VARIABLES, "DURABLEQ_APP", "DURABLEQ_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(elsewhere: Path) -> Iterator[Project]:
    """An empty project in the current directory. What a test imports from it is forgotten afterwards."""
    before, path = set(sys.modules), list(sys.path)
    yield Project(elsewhere)
    for name, module in list(sys.modules.items()):
        if name not in before and str(elsewhere) in str(
            getattr(module, "__file__", None) or module.__dict__.get("__path__", "")
        ):
            del sys.modules[name]
    sys.path[:] = path
    importlib.invalidate_caches()
