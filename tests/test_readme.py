"""The README's Python is executed, all of it, by a real worker; its commands and links exist."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

import durableq as dq
from durableq.cli.main import main
from tests.durableq_command import REPOSITORY, Running, environment, until
from tests.servers import VALKEY, ServerPool

README = (REPOSITORY / "README.md").read_text()
CODE = "\n\n".join(re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S))


class Snippets:
    """The README's Python as one module, with a worker that executes its functions."""

    def __init__(self, module: ModuleType, redis_url: str) -> None:
        self.module: Any = module
        self._runs = dq.Client(redis_url).sync.runs

    def result(self, function: str, event_id: str) -> Any:
        """The result of the run that this event has started."""

        def found() -> list[Any] | None:
            for row in self._runs.list(function=f"shop/{function}"):
                run = self._runs.get(row.id)
                if run.status == "failed":
                    pytest.fail(str(run.error))
                if run.status == "completed" and run.event is not None and run.event.id == event_id:
                    return [run.result]
            return None

        return until(found, f"{function} has completed for {event_id}")[0]


@pytest.fixture(scope="module")
def snippets(server_pool: ServerPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snippets]:
    folder = tmp_path_factory.mktemp("readme")
    (folder / "readme_snippets.py").write_text(CODE)
    url = server_pool.start(VALKEY).url
    env = environment(DURABLEQ_URL=url)
    worker = Running("worker", "readme_snippets:app", "--with-scheduler", cwd=folder, log=folder / "log", env=env)
    spec = importlib.util.spec_from_file_location("readme_snippets", folder / "readme_snippets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "readme_snippets", module)
        patch.setenv("DURABLEQ_URL", url)
        spec.loader.exec_module(module)
        try:
            worker.says("child.working")
            yield Snippets(module, url)
        finally:
            worker.kill()
            module.app.client.sync.close()


def test_its_test_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "readme_under_test.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("readme_under_test").test_a_crash_after_the_label_prints_no_second_one()


@pytest.mark.acceptance
def test_the_first_function_does_what_it_says(snippets: Snippets) -> None:
    event_ids = asyncio.run(snippets.module.place_order())
    assert event_ids == ["order-7"]
    assert snippets.result("process-order", "order-7") == {"label": "label 7", "invoice": "invoice over 1200"}
    assert snippets.result("pack", "order-7") == "no tea, tell the courier of tomorrow"


@pytest.mark.acceptance
def test_plain_code_sends_and_def_functions_answer(snippets: Snippets) -> None:
    (event_id,) = snippets.module.request_report()
    assert snippets.result("monthly-report", event_id) == 2


@pytest.mark.acceptance
def test_a_refund_waits_for_its_decision_and_is_paid_back_by_another_function(snippets: Snippets) -> None:
    refund = {"refund_id": 1, "cents": 350}
    requested = dq.Event("refund/requested", refund, id="refund-1")
    snippets.module.app.send_sync([requested, dq.Event("refund/decided", {"refund_id": 1, "granted": True})])
    assert snippets.result("refund", "refund-1") == "350 cents paid back"
    assert asyncio.run(snippets.module.pay_back_now()) == "350 cents paid back"


@pytest.mark.acceptance
def test_an_invoice_is_sent_once_and_clicks_are_stored_together(snippets: Snippets) -> None:
    wanted = {"invoice_id": 7, "customer_id": 1, "plan": "pro"}
    clicks = [dq.Event("page/clicked", {"page": str(n)}, id=f"click-{n}") for n in range(3)]
    invoices = [dq.Event("invoice/wanted", wanted, id=f"invoice-{n}") for n in range(2)]
    snippets.module.app.send_sync([*invoices, *clicks])
    assert snippets.result("send-invoice", "invoice-0") == "mailed 7"
    assert snippets.result("store-clicks", "click-0") == 3
    assert len(snippets.module.app.client.sync.runs.list(function="shop/send-invoice")) == 1


@pytest.mark.acceptance
def test_a_client_needs_no_code_of_the_app(snippets: Snippets) -> None:
    statuses = asyncio.run(snippets.module.without_the_apps_code(os.environ["DURABLEQ_URL"]))
    assert set(statuses) <= {"queued", "running", "waiting", "completed"}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)", README))))
def test_what_the_readme_links_to_is_there(target: str) -> None:
    assert (REPOSITORY / target).exists()


@pytest.mark.parametrize("script", sorted(set(re.findall(r"scripts/[\w-]+", README))))
def test_a_script_that_it_names_can_be_run(script: str) -> None:
    assert os.access(REPOSITORY / script, os.X_OK)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^ {4}(?:\w+: )?durableq (\w+)", README, re.M))))
def test_a_command_that_it_names_is_there(command: str) -> None:
    assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0


def test_the_procfile_is_what_the_readme_shows() -> None:
    for line in Path(REPOSITORY / "Procfile").read_text().splitlines():
        assert f"    {line}\n" in README


def test_the_readme_makes_no_promise_without_its_limits() -> None:
    for words in (
        "At-least-once execution of a step's body, once-only recording",
        "Order across event names is not promised",
        "A failover may lose\n  what was not replicated",
    ):
        assert words in README
