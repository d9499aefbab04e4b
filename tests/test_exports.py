"""The public names: which they are, and that type checkers and programs are told the same."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import durableq

NAMES = sorted(
    """
App Backoff Batch CancelOn Client CodecError Concurrency ConfigError Context CronTrigger Debounce DurableqError Event
EventError EventTrigger ExpressionError Function FunctionNotFound InvokeError InvokeTimeout LimitExceeded Limits
NestedStep NonRetriableError QueueFull RateLimit RedisRefused RedisUnavailable ResultTimeout RetryAfterError
RunCancelled RunFailed RunFilter RunHandle RunNotFound RunSkipped SendError Signal SignalTaken Singleton StateLost StepError
StepTimeout SyncContext SyncInLoop SyncRunHandle Throttle Timeouts UnknownSchema WorkerCrashed
""".split()  # noqa: SIM905
)


def test_the_public_names_are_these() -> None:
    assert sorted(NAMES) == durableq.__all__


@pytest.mark.parametrize("name", NAMES)
def test_a_program_gets_what_a_type_checker_is_told(name: str) -> None:
    module = importlib.import_module(_told_to_type_checkers()[name])
    assert getattr(durableq, name) is getattr(module, name)


def test_every_error_of_the_package_is_public_and_has_a_docstring() -> None:
    errors = importlib.import_module("durableq.words.errors")
    classes = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert classes <= set(NAMES)
    assert [name for name in classes if not (getattr(errors, name).__doc__ or "").strip()] == []


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Worker'"):
        durableq.Worker
    assert not hasattr(durableq, "_nothing")


def test_dir_lists_the_names() -> None:
    assert set(NAMES) <= set(dir(durableq))


def test_importing_the_package_imports_no_part_of_it() -> None:
    code = "import durableq, sys; print([name for name in sys.modules if name.startswith('durableq.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"


def _told_to_type_checkers() -> dict[str, str]:
    tree = ast.parse(Path(durableq.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.name: statement.module or ""
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
