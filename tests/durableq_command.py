"""`durableq` as a person runs it: a process, its output in files, and nothing of it left at the end of the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from durableq.model.config import URL_VARIABLES

COMMAND = (sys.executable, "-m", "durableq")
REPOSITORY = Path(__file__).parents[1]
PATIENCE_S = 30.0

T = TypeVar("T")


def environment(**variables: str) -> dict[str, str]:
    """This process' environment with these variables, and no other that names a Redis or sets an option."""
    kept = {name: text for name, text in os.environ.items() if name not in URL_VARIABLES}
    kept = {name: text for name, text in kept.items() if not name.startswith("DURABLEQ_")}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **variables}


def durableq(
    *arguments: str, cwd: Path = REPOSITORY, given: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment() if env is None else env,
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def said(*arguments: str, cwd: Path = REPOSITORY, env: Mapping[str, str] | None = None) -> Any:
    """What a command with --json answers. It must succeed."""
    done = durableq(*arguments, "--json", cwd=cwd, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def until(condition: Callable[[], T | None], what: str | Callable[[], str]) -> T:
    """Wait until the condition gives something true, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"not within {PATIENCE_S:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.05)


class Running:
    """A durableq process that stays, in a process group of its own."""

    def __init__(self, *arguments: str, cwd: Path, log: Path, env: Mapping[str, str] | None = None) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*COMMAND, *arguments],
                cwd=cwd,
                env=environment() if env is None else env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def output(self) -> str:
        """All that it has written."""
        return self._log.read_text()

    def says(self, text: str) -> str:
        """Wait until it has written this, and return all of its output."""

        def found() -> str | None:
            if self._process.poll() is not None and text not in self.output:
                pytest.fail(f"it ended with {self._process.returncode} before it said {text!r}:\n{self.output}")
            return self.output if text in self.output else None

        return until(found, lambda: f"{text!r} in\n{self.output}")

    def signal(self, number: signal.Signals) -> None:
        """To the whole group, as terminals and platforms do."""
        os.killpg(self._process.pid, number)

    def ends(self) -> int:
        """Wait for its end and return the exit code."""
        return self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        """kill -9, of the children too."""
        try:
            self.signal(signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait(PATIENCE_S)
