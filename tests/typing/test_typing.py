"""mypy and pyright accept every call in checks.py, and refuse exactly the marked lines of refused.py."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CHECKS = HERE / "checks.py"
REFUSED = HERE / "refused.py"


def marked_lines() -> set[int]:
    return {number for number, line in enumerate(REFUSED.read_text().splitlines(), 1) if "# expect-error" in line}


def mypy(file: Path) -> dict[int, str]:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    found = re.findall(rf"{file.name}:(\d+): error: (.*)", done.stdout)
    assert found or not done.stdout.strip(), done.stdout + done.stderr
    return {int(line): message for line, message in found}


def pyright(file: Path) -> dict[int, str]:
    beside = Path(sys.executable).with_name("pyright")
    program = str(beside) if beside.exists() else shutil.which("pyright")
    if program is None:
        pytest.skip("pyright is not installed")
    command = [program, "--outputjson", "--pythonpath", sys.executable, str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    report = json.loads(done.stdout)
    return {
        finding["range"]["start"]["line"] + 1: finding["message"]
        for finding in report["generalDiagnostics"]
        if finding["severity"] == "error"
    }


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_every_call_of_checks_is_accepted(checker: Callable[[Path], dict[int, str]]) -> None:
    assert checker(CHECKS) == {}


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_exactly_the_marked_lines_are_refused(checker: Callable[[Path], dict[int, str]]) -> None:
    assert set(checker(REFUSED)) == marked_lines()
