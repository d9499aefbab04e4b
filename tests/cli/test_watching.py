"""Which files are watched, what counts as a change, and when a burst of changes is over."""

from __future__ import annotations

import asyncio
import importlib
import os
import py_compile
import sys
from collections.abc import Awaitable
from pathlib import Path

import pytest

from durableq.cli.reload import watching
from durableq.cli.reload.origins import code_directories
from durableq.cli.reload.sources import changed, files_below, forget_compiled
from durableq.cli.reload.watching import Watch
from tests.cli.project import Project

PATIENCE_S = 20


async def soon(what: Awaitable[list[str]]) -> list[str]:
    async with asyncio.timeout(PATIENCE_S):
        return [Path(path).name for path in await what]


def names(directory: Path) -> set[str]:
    return {os.path.relpath(path, directory) for path in files_below(str(directory))}


def test_python_files_below_are_watched_and_what_is_not_the_users_is_not(project: Project) -> None:
    for path in ("app.py", "shop/__init__.py", "shop/deep/er/pay.py", "README.md"):
        project.write(path)
    for path in (".venv/a.py", ".git/b.py", ".durableq/c.py", ".hidden.py", "__pycache__/d.py", "node_modules/e.py"):
        project.write(path)
    project.write("lib/python3.12/site-packages/f.py")
    project.write("any-name/pyvenv.cfg")
    project.write("any-name/bin/g.py")
    (project.directory / "circle").symlink_to(project.directory)
    (project.directory / "nothing.py").symlink_to("gone.py")
    assert names(project.directory) == {"app.py", "shop/__init__.py", "shop/deep/er/pay.py"}


def test_a_file_that_is_written_replaced_made_or_removed_has_changed(project: Project) -> None:
    for name in ("written", "replaced", "removed", "same"):
        project.write(f"{name}.py", "1")
    before = files_below(str(project.directory))
    project.write("written.py", "12")
    # As editors save: another file of the same size and time takes its place.
    replaced = project.directory / "replaced.py"
    times = replaced.stat()
    project.write("replaced.py.new", "2").replace(replaced)
    os.utime(replaced, ns=(times.st_atime_ns, times.st_mtime_ns))
    (project.directory / "removed.py").unlink()
    project.write("made.py")
    found = changed(before, files_below(str(project.directory)))
    assert [os.path.basename(path) for path in found] == ["made.py", "removed.py", "replaced.py", "written.py"]


async def test_a_burst_is_one_change(project: Project) -> None:
    watch = Watch(str(project.directory))
    await watch.begin()
    for number in range(20):
        project.write(f"m{number:02}.py")
    assert await soon(watch.changes()) == [f"m{number:02}.py" for number in range(20)]
    project.write("one.py")
    assert await soon(watch.changes()) == ["one.py"]


async def test_a_burst_that_does_not_end_is_told_after_a_while(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "BURST_MAX_S", 0.3)
    watch = Watch(str(project.directory))
    await watch.begin()

    async def write() -> None:
        for number in range(10_000):
            project.write("busy.py", "1" * number)
            await asyncio.sleep(0.01)

    writing = asyncio.create_task(write())
    assert await soon(watch.changes()) == ["busy.py"]
    assert not writing.done()
    writing.cancel()


async def test_a_directory_that_becomes_known_later_is_watched_without_what_is_below_it(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "below").mkdir()
    (other / "there.py").touch()
    watch = Watch(str(project.directory))
    await watch.begin()
    await watch.add(str(other))
    (other / "below" / "unseen.py").touch()
    (other / "seen.py").touch()
    assert await soon(watch.changes()) == ["seen.py"]


def test_user_code_is_found_where_it_was_imported_from(
    project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "shop_elsewhere" / "deep").mkdir(parents=True)
    (other / "shop_elsewhere" / "deep" / "pay.py").touch()
    (project.directory / "here.py").touch()
    monkeypatch.setattr(sys, "path", [str(other), str(project.directory), *sys.path])
    importlib.import_module("shop_elsewhere.deep.pay")
    importlib.import_module("here")
    found = code_directories(str(project.directory))
    for name in ("shop_elsewhere.deep.pay", "shop_elsewhere.deep", "shop_elsewhere"):
        del sys.modules[name]
    assert {str(other), str(other / "shop_elsewhere" / "deep")} <= set(found)
    assert str(project.directory) not in found
    assert not any("site-packages" in path or path == os.path.dirname(os.__file__) for path in found)
    assert not any(f"{os.sep}durableq{os.sep}cli" in path for path in found)


def test_what_was_compiled_of_a_changed_file_is_not_taken_for_current(project: Project) -> None:
    file = project.write("same_second.py", "WHICH = 1")
    compiled = py_compile.compile(str(file))
    assert compiled is not None
    forget_compiled([str(file), str(project.directory / "never_compiled.py")])
    assert not Path(compiled).exists()
