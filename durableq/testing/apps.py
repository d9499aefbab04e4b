"""The apps of an environment: whether they can be tested together, and what the registry is told of them."""

from __future__ import annotations

from collections.abc import Sequence

from durableq.app import App
from durableq.including import import_included
from durableq.model.trigger import CronTrigger
from durableq.words.errors import ConfigError


def declarations_of(apps: Sequence[App]) -> dict[str, bytes]:
    """What the registry is told of each function, by full id. Raises ConfigError."""
    if not apps:
        raise ConfigError("TestEnv takes the app whose functions are tested: TestEnv(app)")
    for app in apps:
        if not isinstance(app, App):
            raise ConfigError(f"TestEnv takes an App, not {app!r}")
        import_included(app)
        if not app.functions:
            raise ConfigError(
                f"app {app.id!r} has no functions. Import the modules that declare them, or name them in App(include=[…])"
            )
    if len({app.id for app in apps}) < len(apps):
        raise ConfigError(f"TestEnv was given two apps of one id: {', '.join(app.id for app in apps)}")
    return {function.full_id: function.declaration() for app in apps for function in app.functions.values()}


def namespace_of(apps: Sequence[App]) -> str:
    """The one that they share. Raises ConfigError."""
    named = {app.namespace for app in apps if app.namespace is not None}
    if len(named) > 1:
        raise ConfigError(
            f"apps of different namespaces never meet: {', '.join(sorted(named))}. Make a TestEnv for each"
        )
    return named.pop() if named else "default"


def have_crons(apps: Sequence[App]) -> bool:
    """Whether any function is triggered by time."""
    functions = [function for app in apps for function in app.functions.values()]
    return any(isinstance(trigger, CronTrigger) for function in functions for trigger in function.triggers)
