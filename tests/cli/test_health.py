"""`durableq health`: the age of a file, and an exit code."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from durableq.cli.main import main


def look(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(main, ["health", *arguments], env=variables)


@pytest.fixture
def health(tmp_path: Path) -> Path:
    path = tmp_path / "health"
    path.touch()
    return path


def touched(path: Path, ago_s: float) -> str:
    os.utime(path, (time.time() - ago_s,) * 2)
    return str(path)


def test_a_file_touched_lately_is_healthy(health: Path) -> None:
    seen = look(touched(health, 20))
    assert seen.exit_code == 0
    assert seen.stdout == f"healthy: {health} was touched 20s ago\n"


def test_an_old_file_is_not_and_the_age_is_said(health: Path) -> None:
    seen = look(touched(health, 75))
    assert seen.exit_code == 1
    assert seen.stderr == f"unhealthy: {health} was touched 1m15s ago, which is more than 30s\n"
    assert look(str(health), "--max-age", "2m").exit_code == 0


def test_a_file_that_is_not_there_is_not(tmp_path: Path) -> None:
    seen = look(str(tmp_path / "none"))
    assert seen.exit_code == 1
    assert seen.stderr == f"unhealthy: {tmp_path}/none: No such file or directory\n"


def test_a_file_of_the_future_is_not(health: Path) -> None:
    """The clock was set back, and nobody has touched it since."""
    assert look(touched(health, -10)).exit_code == 0
    seen = look(touched(health, -100))
    assert seen.exit_code == 1
    assert "in the future" in seen.stderr


def test_variables_name_the_file_and_the_age(health: Path) -> None:
    given = {"DURABLEQ_HEALTH_FILE": touched(health, 20), "DURABLEQ_HEALTH_MAX_AGE": "10s"}
    assert look(**given).exit_code == 1
    assert look(**{**given, "DURABLEQ_HEALTH_MAX_AGE": "60"}).exit_code == 0


@pytest.mark.parametrize("age", ["1s", "0", "-5s", "soon", "nan"])
def test_an_age_that_cannot_be_is_refused(health: Path, age: str) -> None:
    seen = look(str(health), "--max-age", age)
    assert seen.exit_code == 2
    assert "--max-age" in seen.stderr


def test_no_path_is_refused() -> None:
    seen = look(DURABLEQ_HEALTH_FILE="")
    assert seen.exit_code == 2
    assert "PATH" in seen.stderr
