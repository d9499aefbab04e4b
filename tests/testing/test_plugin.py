"""The pytest plugin, in pytest runs of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.durableq_command import REPOSITORY, environment

APP = """
import durableq as dq

app = dq.App("small")


@app.function("add", triggers=[dq.EventTrigger("add")])
async def add(ctx: dq.Context) -> int:
    await ctx.step.sleep("night", "12h")
    return await ctx.step.run("add", lambda: sum(ctx.event.data["numbers"]))
"""

PLAIN = """
def test_plain(durableq_env):
    durableq_env.send("add", {"numbers": [1, 2]})
    durableq_env.run_to_end()
    assert durableq_env.only_run.result == 3
"""

AWAITED = """
import pytest

@pytest.mark.asyncio
async def test_awaited(durableq_env):
    await durableq_env.send("add", {"numbers": [1, 2]})
    await durableq_env.run_to_end()
    assert durableq_env.only_run.result == 3
"""

CONFTEST = """
import pytest
from small import app

@pytest.fixture
def durableq_app():
    return app
"""


class Project:
    """A directory with an app and tests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write("small.py", APP)

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def run(self, *arguments: str, **variables: str) -> tuple[int, str]:
        """Exit code and output of pytest there."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        env = environment(PYTHONPATH=f"{self.directory}:{REPOSITORY}", **variables)
        done = subprocess.run(command, cwd=self.directory, env=env, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_the_fixture_serves_plain_and_async_tests(project: Project) -> None:
    project.write("conftest.py", CONFTEST)
    project.write("test_plain.py", PLAIN)
    project.write("test_awaited.py", AWAITED)
    code, output = project.run("-W", "error", "-o", "asyncio_default_fixture_loop_scope=function")
    assert code == 0, output
    assert "2 passed" in output


def test_the_app_is_found_as_commands_find_it(project: Project) -> None:
    project.write("test_plain.py", PLAIN)
    project.write("pyproject.toml", '[tool.durableq]\napp = "small:app"\n')
    code, output = project.run()
    assert code == 0, output


def test_without_an_app_the_ways_to_name_one_are_told(project: Project) -> None:
    project.write("test_plain.py", PLAIN)
    code, output = project.run()
    assert code == 1
    assert "no app was named" in output
    assert "or define a fixture durableq_app that returns the App" in output


def test_a_marker_says_how_the_environment_is_made(project: Project) -> None:
    project.write("conftest.py", CONFTEST)
    project.write(
        "test_marked.py",
        'import pytest\n\n@pytest.mark.durableq(now="2030-01-01T00:00:00+00:00", strict=True)\n'
        "def test_marked(durableq_env):\n    assert durableq_env.now.year == 2030\n",
    )
    code, output = project.run("--strict-markers")
    assert code == 0, output


@pytest.mark.parametrize(("keyword", "word"), [("", ""), ("async ", "await ")])
def test_an_unused_stub_is_told_at_the_end_of_the_test(project: Project, keyword: str, word: str) -> None:
    project.write("conftest.py", CONFTEST)
    mark = "import pytest\n\n@pytest.mark.asyncio\n" if keyword else ""
    body = f'durableq_env.stub_step("ad", returns=1)\n    {word}durableq_env.run_until_idle()\n'
    project.write("test_stub.py", f"{mark}{keyword}def test_stub(durableq_env):\n    {body}")
    code, output = project.run()
    assert code == 1
    assert "1 passed, 1 error" in output
    assert "stub_step('ad') was never used" in output


def test_a_test_that_failed_is_not_told_of_stubs_on_top(project: Project) -> None:
    project.write("conftest.py", CONFTEST)
    project.write(
        "test_fails.py", 'def test_fails(durableq_env):\n    durableq_env.stub_step("ad", returns=1)\n    assert 0\n'
    )
    code, output = project.run()
    assert code == 1
    assert "1 failed" in output
    assert "never used" not in output


def test_a_run_that_does_not_ask_for_it_imports_neither_redis_nor_the_engine(project: Project) -> None:
    project.write(
        "test_nothing.py",
        "import sys\n\ndef test_nothing():\n"
        "    loaded = {name for name in sys.modules if name.partition('.')[0] in ('durableq', 'redis', 'fakeredis')}\n"
        "    assert loaded == {'durableq', 'durableq.testing', 'durableq.testing.plugin'}\n",
    )
    code, output = project.run("-p", "no:asyncio", "-p", "no:hypothesispytest")
    assert code == 0, output
