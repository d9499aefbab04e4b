"""`durableq check`: all the reasons at once, each with the line to mend; a summary where there are none; never Redis."""

from __future__ import annotations

import json
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from durableq.cli.main import main
from durableq.cli.salvage import salvaging
from tests.cli.project import Project, declares
from tests.durableq_command import durableq, environment


def check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["check", *arguments], catch_exceptions=False)


def reasons(*arguments: str) -> list[str]:
    done = check(*arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    return [line.removeprefix("durableq check: ") for line in done.stderr.splitlines() if line.startswith("durableq")]


def test_what_is_right_is_listed(project: Project) -> None:
    project.app(more=", include=['orders']")
    project.module("orders.py", f"from shop import app\n{declares('ship')}")
    done = check("shop")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "function   triggers    declared",
        "shop/pay   pay/asked   shop:4",
        "shop/ship  ship/asked  orders:4",
        "ok: 1 app, 2 functions",
    ]


def test_flow_control_is_listed_below(project: Project) -> None:
    project.module(
        "shop.py",
        f"app = dq.App('shop')\n{declares('pay', concurrency='10', singleton=repr('skip'))}{declares('ship')}",
    )
    assert check("shop").stdout.splitlines()[1:] == [
        "shop/pay   pay/asked   shop:4",
        "shop/ship  ship/asked  shop:9",
        "shop/pay: singleton one, the rest is skipped; concurrency 10",
        "ok: 1 app, 2 functions",
    ]


def test_what_does_not_go_together_is_told_with_its_line(project: Project) -> None:
    options = {"batch": "dq.Batch(10, timeout='5s')", "priority": repr("event.data.p")}
    project.module("shop.py", f"app = dq.App('shop')\n{declares('one', **options)}{declares('two', concurrency='0')}")
    assert [reason[:60] for reason in reasons("shop")] == [
        "shop.py:4: function 'one': batch and priority do not go toge",
        "shop.py:9: function 'two': Concurrency limit must be at leas",
    ]


def test_every_refused_declaration_of_every_module_is_told_with_its_line(project: Project) -> None:
    project.module(
        "shop.py",
        "app = dq.App('shop', include=['orders', 'nosuch', 'broken'])\n"
        + declares("one", retries="99")  # line 4
        + declares("two")
        + declares("two")  # line 14
        + declares("three", name="''"),  # line 19
    )
    project.module(
        "orders.py",
        "from shop import app\n"
        "if True:\n"
        "    @app.function('four', triggers=[dq.EventTrigger('a', if_='event.data.x >')])\n"
        "    async def four(ctx: dq.Context) -> None: ...\n"
        "@app.function('five', triggers=[dq.EventTrigger('a*b')])\n"
        "def five(ctx: dq.Context) -> None: ...\n"
        "four, five",
    )
    project.write("broken.py", "1 / 0")
    said = check("shop", "absent:app").stderr
    assert [
        line.removeprefix("durableq check: ")[:40] for line in said.splitlines() if line.startswith("durableq")
    ] == [
        "shop.py:4: function 'one': retries must ",
        "shop.py:14: function 'two' is declared t",
        "shop.py:19: function 'three': name must ",
        "orders.py:4: the expression ends where a",
        "orders.py:6: EventTrigger event 'a*b': a",
        "include='nosuch' of app 'shop': there is",
        "broken.py:1: ZeroDivisionError: division",
        "app 'absent:app': there is no module 'ab",
    ]
    assert "Traceback" not in said


def test_a_function_that_was_refused_can_still_be_named_by_others(project: Project) -> None:
    project.module("shop.py", f"app = dq.App('shop')\n{declares('one', retries='-1')}also = one\n{declares('two')}")
    (reason,) = reasons("shop")
    assert reason.startswith("shop.py:4: function 'one': retries must be 0 to 20")


def test_an_app_whose_only_function_was_refused_is_not_called_empty(project: Project) -> None:
    project.module("shop.py", f"app = dq.App('shop')\n{declares('one', retries='-1')}")
    assert len(reasons("shop")) == 1
    project.module("empty.py", "app = dq.App('empty')")
    assert "app 'empty' (empty) has no functions" in reasons("empty")[0]


def test_two_apps_with_one_id(project: Project) -> None:
    project.app("one.py")
    project.app("two.py")
    assert reasons("one", "two") == ["two apps have the id 'shop': one and two. Give one another id"]


def test_json_is_for_programs(project: Project) -> None:
    project.app("good.py", "good")
    project.module("bad.py", f"app = dq.App('bad')\n{declares('one', retries='-1')}")
    done = check("good", "bad", "--json")
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert said["ok"] is False
    assert said["apps"] == [{"app": "good", "reference": "good", "functions": ["good/pay"]}]
    (reason,) = said["reasons"]
    assert reason["where"] == "bad.py:4"
    assert reason["reason"].startswith("function 'one': retries must be")
    assert json.loads(check("good", "--json").stdout) == {"ok": True, "apps": said["apps"], "reasons": []}


def test_which_app_is_meant_is_found_as_by_a_worker(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.app()
    assert check().exit_code == 78
    project.write("pyproject.toml", '[tool.durableq]\napp = "shop"')
    assert check().exit_code == 0
    monkeypatch.setenv("DURABLEQ_APP", "absent")
    assert reasons() == [f"app 'absent': there is no module 'absent' here ({project.directory}) or in the environment"]


def test_it_needs_no_redis_and_leaves_no_cache_of_what_it_rewrote(project: Project) -> None:
    project.app()
    env = environment(DURABLEQ_URL="redis://127.0.0.1:1")
    assert durableq("check", "shop", cwd=project.directory, env=env).returncode == 0
    assert not list(project.directory.glob("__pycache__/shop*"))


def test_installed_modules_are_imported_as_they_are(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.app("lib/site-packages/installed.py")
    monkeypatch.syspath_prepend(project.directory / "lib/site-packages")
    assert check("installed").exit_code == 0
    assert not hasattr(sys.modules["installed"], "__durableq_refused__")


def test_neither_our_modules_nor_pythons_are_rewritten(tmp_path: Path) -> None:
    finder = salvaging([str(Path(sys.prefix).anchor)], lambda error: None)
    with finder:
        for name in ("durableq.cli.dev", "colorsys", "click.testing"):
            spec = sys.meta_path[0].find_spec(
                name, sys.modules[name.rpartition(".")[0]].__path__ if "." in name else None
            )
            assert spec is not None
            assert type(spec.loader) is SourceFileLoader, name
        (tmp_path / "theirs.py").touch()
        spec = sys.meta_path[0].find_spec("theirs", [str(tmp_path)])
        assert spec is not None
        assert type(spec.loader) is not SourceFileLoader
