"""Finds apps: `MODULE:APP`, several allowed."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from durableq.app import App
from durableq.words.errors import ConfigError


def load_apps(references: Sequence[str]) -> list[App]:
    """The apps that these references name. The current directory is importable, as for `python -m`.

    Raises:
        ConfigError: A reference is malformed, a module cannot be imported, a name is missing or no App, an app has no
            functions, or two apps have one id.
    """
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    found: dict[str, tuple[str, App]] = {}
    for reference in references:
        app = _load(reference)
        if not app.functions:
            raise ConfigError(
                f"app {app.id!r} ({reference}) has no functions: importing {reference.partition(':')[0]!r} declared none. "
                "Import the modules that hold them from there"
            )
        known = found.get(app.id)
        if known is not None and known[1] is not app:
            raise ConfigError(f"two apps have the id {app.id!r}: {known[0]} and {reference}. Give one another id")
        found[app.id] = (reference, app)
    return [app for _, app in found.values()]


def split_references(text: str) -> tuple[str, ...]:
    """References in DURABLEQ_APP: separated by commas or spaces."""
    return tuple(text.replace(",", " ").split())


def check_reference(reference: str) -> None:
    """Raise ConfigError unless this is written `MODULE:APP`."""
    parts = reference.split(":")
    if len(parts) != 2 or not all(name.isidentifier() for part in parts for name in part.split(".")):
        raise ConfigError(f"app {reference!r} must be written MODULE:APP, such as 'workers.app:app'")


def _load(reference: str) -> App:
    check_reference(reference)
    module_name, _, attribute = reference.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ConfigError(
                f"app {reference!r}: there is no module {error.name!r} here ({os.getcwd()}) or in the environment"
            ) from None
        raise
    value: object = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            apps = [name for name, member in vars(module).items() if isinstance(member, App)]
            hint = f"; it has {', '.join(f'{module_name}:{name}' for name in apps)}" if apps else ""
            raise ConfigError(f"app {reference!r}: module {module_name!r} has no {attribute!r}{hint}")
        value = getattr(value, part)
    if not isinstance(value, App):
        raise ConfigError(f"app {reference!r} is {type(value).__name__!s}, not a durableq App")
    return value
