"""Imports modules by the names that apps and command lines give: an app's own, and those of its `include=`."""

from __future__ import annotations

import importlib
import os
import sys
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
            where = f"here ({os.getcwd()}) or in the environment"
            raise ConfigError(f"{whose}: there is no module {error.name!r} {where}{_with_colon(error.name)}") from None
        raise


def _with_colon(name: str) -> str:
    """The hint for `shop.app.app`, where `app` is no module but stands in one."""
    above, _, last = name.rpartition(".")
    return f"; did you mean {above}:{last}?" if hasattr(sys.modules.get(above), last) else ""


def import_included(app: App) -> None:
    """Import what this app names in `include=`, in that order. Raises as `import_named`."""
    for name in app.include:
        import_named(name, included_by(app, name))


def included_by(app: App, name: str) -> str:
    """Who wants this module, for errors."""
    return f"include={name!r} of app {app.id!r}"
