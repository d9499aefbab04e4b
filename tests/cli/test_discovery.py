"""Which apps a command means: arguments, then the variable, then the project's file; each mistake is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from durableq.cli.discovery import Named, check_reference, named_apps
from durableq.words.errors import ConfigError
from tests.cli.project import Project

TABLE = "[tool.durableq]\n"


def test_arguments_come_before_the_variable_and_the_variable_before_the_file(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("pyproject.toml", f'{TABLE}app = "filed:app"')
    assert named_apps([]) == Named(("filed:app",), str(project.directory))
    monkeypatch.setenv("DURABLEQ_APP", "told:app, other")
    assert named_apps([]) == Named(("told:app", "other"))
    assert named_apps(["given:app"]) == Named(("given:app",))


def test_an_empty_variable_is_none(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("pyproject.toml", f'{TABLE}app = ["one:app", "two"]')
    monkeypatch.setenv("DURABLEQ_APP", " ")
    assert named_apps([]).references == ("one:app", "two")


def test_the_nearest_file_with_our_table_is_taken(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("pyproject.toml", f'{TABLE}app = "outer:app"')
    project.write("inner/pyproject.toml", f'{TABLE}app = "inner:app"')
    project.write("inner/deep/pyproject.toml", "[tool.other]\napp = 3")
    project.write("inner/deep/down/x.txt")
    monkeypatch.chdir(project.directory / "inner/deep/down")
    assert named_apps([]) == Named(("inner:app",), str(project.directory / "inner"))


def test_without_any_it_says_the_three_ways() -> None:
    with pytest.raises(
        ConfigError, match=r'pass MODULE:APP, set DURABLEQ_APP, or write app = "MODULE:APP" under \[tool'
    ):
        named_apps([])


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"{TABLE}app = 3", r'app under \[tool\.durableq\] must be "MODULE:APP", or a list .*, not 3'),
        (f"{TABLE}app = []", "with at least one, not \\[\\]"),
        (f"{TABLE}app = [1]", "not \\[1\\]"),
        (TABLE, "with at least one"),
        (f'{TABLE}apps = "a:b"', "knows 'app' and no other key, not 'apps'"),
        ("tool.durableq = 1", r"\[tool\.durableq\] must be a table, not 1"),
        (f'{TABLE}app = "a/b.py"', r"'a/b\.py' is a path: write a\.b \(from .*pyproject\.toml\)"),
        ("[tool", r"pyproject\.toml is not TOML"),
    ],
)
def test_what_the_file_says_wrong_is_told_with_its_path(project: Project, text: str, rule: str) -> None:
    path = project.write("pyproject.toml", text)
    with pytest.raises(ConfigError, match=rule) as refused:
        named_apps([])
    assert str(path) in str(refused.value)


def test_a_file_that_cannot_be_read_is_told(elsewhere: Path) -> None:
    (elsewhere / "pyproject.toml").mkdir()
    with pytest.raises(ConfigError, match=r"pyproject\.toml cannot be read: Is a directory"):
        named_apps([])
    (elsewhere / "pyproject.toml").rmdir()
    (elsewhere / "pyproject.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"cannot be read: .*utf-8"):
        named_apps([])


@pytest.mark.parametrize("reference", ["shop", "shop.app", "shop:app", "shop.app:parts.app", "_a1:b"])
def test_a_module_or_a_module_and_a_name_is_well_written(reference: str) -> None:
    check_reference(reference)


@pytest.mark.parametrize("reference", ["", ":", "shop:", ":app", "a:b:c", "my-shop", "shop app", "shop..app", "3d"])
def test_anything_else_is_not(reference: str) -> None:
    with pytest.raises(ConfigError, match="must be written MODULE:APP"):
        check_reference(reference)


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("shop.py", "write shop"),
        ("./shop/app.py:app", "write shop.app:app"),
        ("shop/", "write shop"),
        ("shop/__init__.py", "write shop"),
        ("my-shop/app.py", "write the name by which Python imports it"),
        ("../shop/app.py", "write the name by which Python imports it"),
        ("/nowhere/shop.py", "write the name by which Python imports it"),
    ],
)
def test_a_path_is_answered_with_what_to_write(path: str, instead: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_reference(path)
    assert f"app {path!r} is a path: {instead}" in str(refused.value)


def test_an_absolute_path_in_this_directory_is_answered_as_well(elsewhere: Path) -> None:
    with pytest.raises(ConfigError, match=r"is a path: write shop\.app:app"):
        check_reference(f"{elsewhere}/shop/app.py:app")
