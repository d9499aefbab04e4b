"""The log of a process: whatever becomes of stdout, who logs is not told."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest
import structlog

from durableq.cli.logs import FORMATS, configure_logs


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The settings of structlog are those of the process."""
    yield
    structlog.reset_defaults()


def broken_pipe() -> TextIO:
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w")


def full_disk() -> TextIO:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    return full.open("w")


@pytest.mark.parametrize("log_format", FORMATS[1:])
@pytest.mark.parametrize("make", [broken_pipe, full_disk])
def test_a_log_call_on_a_stdout_that_fails_does_not_raise(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], TextIO], log_format: str
) -> None:
    file = make()
    monkeypatch.setattr(sys, "stdout", file)
    configure_logs(log_format)
    log = structlog.get_logger()
    for number in range(200):
        log.info("said", number=number, more="x" * 500)
    with pytest.raises(OSError):
        file.close()  # what its buffer still holds cannot be written either
    log.info("said after it was closed")


def test_each_log_call_is_one_line_written_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        configure_logs("json", "info")
        log = structlog.get_logger()
        log.info("one")
        log.debug("hidden")
        log.bind(a=1).error("two")
        said = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["event"], line["level"]) for line in said] == [("one", "info"), ("two", "error")]
