"""docs/testing.md: its files are written down and its tests pass."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

from durableq.testing import AsyncTestEnv, TestEnv
from tests.durableq_command import REPOSITORY, environment

PAGE = (REPOSITORY / "docs" / "testing.md").read_text()
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.M | re.S))


def test_its_tests_pass(tmp_path: Path) -> None:
    assert len(FILES) == PAGE.count("```python")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers"]
    env = environment(PYTHONPATH=f"{tmp_path}:{REPOSITORY}")
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{sum(text.count('def test_') for text in FILES.values())} passed" in done.stdout


def test_everything_that_an_environment_has_is_on_the_page() -> None:
    names = [name for name in dir(TestEnv) if not name.startswith("_")]
    assert names == [name for name in dir(AsyncTestEnv) if not name.startswith("_")]
    assert [name for name in names if f"`{name}" not in PAGE and f", `{name}" not in PAGE] == []
    options = [name for name in inspect.signature(TestEnv).parameters if name != "apps"]
    assert [name for name in options if f"{name}=" not in PAGE] == []
