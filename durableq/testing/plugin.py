"""The pytest plugin: the fixture `durableq_env`. It is loaded in every pytest run of an environment that has durableq
installed, so it imports nothing of it before the fixture is asked for.

    def test_order(durableq_env):                        a TestEnv
        durableq_env.send("order/created", {"id": 7})

    async def test_order(durableq_env):                  an AsyncTestEnv, in the loop of the test
        await durableq_env.send("order/created", {"id": 7})
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from durableq.app import App
    from durableq.testing.environment import AsyncTestEnv, TestEnv

ENV: Final = "durableq_env"
_FAILED: Final = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker `durableq`."""
    config.addinivalue_line(
        "markers", "durableq(now=…, strict=…, patience=…): how the durableq_env fixture makes its TestEnv"
    )


@pytest.hookimpl(hookwrapper=True)  # and not `wrapper`, which an older pytest does not know
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Notes that a test has failed, so that what it arranged in vain is not reported on top."""
    outcome = yield
    if ENV in getattr(item, "fixturenames", ()) and outcome.get_result().failed:
        item.stash[_FAILED] = True


@pytest.fixture
def durableq_app() -> App | tuple[App, ...]:
    """The app that `durableq_env` tests: what DURABLEQ_APP or `app` under [tool.durableq] in pyproject.toml names.

    Define a fixture of this name in a conftest.py for another one; it may return several apps in a tuple.
    """
    try:
        named = import_module("durableq.cli.discovery").named_apps(())
    except ValueError as error:
        error.add_note("In tests: or define a fixture durableq_app that returns the App")
        raise
    return tuple(import_module("durableq.cli.loading").load_apps(named).values())


@pytest.fixture
def durableq_env(
    request: pytest.FixtureRequest, durableq_app: App | tuple[App, ...]
) -> Iterator[TestEnv | AsyncTestEnv]:
    """The app on a server in this process, with a virtual clock; see docs/testing.md."""
    apps: tuple[Any, ...] = durableq_app if isinstance(durableq_app, tuple) else (durableq_app,)
    marker = request.node.get_closest_marker("durableq")
    make: type[TestEnv] = import_module("durableq.testing.environment").TestEnv
    env = make(*apps, **(marker.kwargs if marker is not None else {}))
    yield env._begin_awaited() if _is_async(request) else env.__enter__()
    env._close(failed=request.node.stash.get(_FAILED, False))


def _is_async(request: pytest.FixtureRequest) -> bool:
    function = inspect.unwrap(getattr(request.node, "obj", None) or (lambda: None))
    inner = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    return inspect.iscoroutinefunction(inner)
