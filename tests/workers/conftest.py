"""The example app as a user runs it: one worker process with its scheduler, on a server of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import durableq as dq
from durableq.services.views import RunView
from tests.durableq_command import REPOSITORY, Running, environment, until
from tests.servers import VALKEY, ServerPool


class Shop:
    """Sends events, and finds the runs that they start."""

    def __init__(self, client: dq.Client) -> None:
        self._client = client.sync

    def send(self, name: str, data: Mapping[str, Any]) -> str:
        """Send an event and return its id."""
        (event_id,) = self._client.send(dq.Event(name, dict(data)))
        return event_id

    def run(self, function: str, event_id: str, *statuses: str) -> RunView:
        """Wait until the run that this event starts has one of these statuses (completed, if none is given)."""
        wanted = statuses or ("completed",)

        def found() -> RunView | None:
            for row in self._client.runs.list(function=f"shop/{function}", limit=100):
                run = self._client.runs.get(row.id)
                if run.event is not None and run.event.id == event_id and run.status in wanted:
                    return run
            return None

        return until(found, f"a run of {function} that is {' or '.join(wanted)}")

    def runs(self, function: str) -> list[RunView]:
        """Every run of a function."""
        return [self._client.runs.get(row.id) for row in self._client.runs.list(function=f"shop/{function}")]


@pytest.fixture(scope="session")
def shop(server_pool: ServerPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with a worker, for all tests of the session; each test looks at the runs of its own events."""
    folder = tmp_path_factory.mktemp("shop")
    server = server_pool.start(VALKEY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOP_DB", str(folder / "shop.sqlite"))
        env = environment(DURABLEQ_URL=server.url, SHOP_DB=str(folder / "shop.sqlite"))
        worker = Running("worker", "workers.shop:app", "--with-scheduler", cwd=REPOSITORY, log=folder / "log", env=env)
        client = dq.Client(server.url)
        try:
            worker.says("child.working")
            yield Shop(client)
        finally:
            worker.kill()
            client.sync.close()
