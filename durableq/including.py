"""Imports modules by the names that apps and command lines give: an app's own, and those of its `include=`."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from durableq.app import App
from durableq.words.errors import ConfigError


def import_named(name: str, whose: str) -> ModuleType:
    """The module of this name. `whose` says in errors who wants it.

    Raises:
        ConfigError: There is no such module. What its code raises is raised as it is.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{whose}: there is no module {error.name!r} here ({os.getcwd()}) or in the environment"
            ) from None
        raise


def import_included(app: App) -> None:
    """Import what this app names in `include=`, in that order. Raises as `import_named`."""
    for name in app.include:
        import_named(name, included_by(app, name))


def included_by(app: App, name: str) -> str:
    """Who wants this module, for errors."""
    return f"include={name!r} of app {app.id!r}"
