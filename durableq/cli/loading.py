"""Loads the apps that references name: imports their modules and those of `include=`, and looks whether they can be served.

It goes on after a fault as far as it can, so that whoever mends the first one need not come back for the second.
"""

from __future__ import annotations

import os
import pkgutil
import sys
from collections.abc import Iterator
from types import ModuleType

from durableq.app import App
from durableq.cli.discovery import Named, check_reference
from durableq.cli.reasons import AppsRefused, Reason, reason_of
from durableq.including import import_named, included_by
from durableq.words.errors import ConfigError


def load_apps(named: Named) -> dict[str, App]:
    """The apps, by the reference that named each first. The current directory is importable, as for `python -m`.

    Raises:
        AppsRefused: A module cannot be imported or raises, a name is missing or no App, a declaration breaks a rule, an
            app has no functions, or two apps have one id. It holds all reasons.
    """
    reasons: list[Reason] = []
    apps = try_apps(named, reasons)
    if reasons:
        raise AppsRefused(reasons)
    return apps


def try_apps(named: Named, reasons: list[Reason]) -> dict[str, App]:
    """The apps that could be loaded. Every reason why one could not is added to `reasons`."""
    for directory in (os.getcwd(), named.directory):
        if directory and directory not in sys.path:
            sys.path.insert(0, directory)
    found: dict[str, App] = {}
    for reference in named.references:
        before = len(reasons)
        try:
            app = _find(reference)
        except (Exception, SystemExit) as error:
            reasons.append(reason_of(error))
            continue
        if any(app is known for known in found.values()):
            continue
        reasons += [*_namesakes(reference, app, found), *_include(app)]
        if not app.functions and len(reasons) == before:
            reasons.append(_ours(_why_empty(reference, app)))
        if len(reasons) == before:
            found[reference] = app
    return found


def _find(reference: str) -> App:
    check_reference(reference)
    name, _, attribute = reference.partition(":")
    module = import_named(name, f"app {reference!r}")
    if not attribute:
        return _only_app(module, reference)
    value: object = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise ConfigError(f"app {reference!r}: module {name!r} has no {attribute!r}{_instead(name, module)}")
        value = getattr(value, part)
    if not _is_app(value):
        raise ConfigError(f"app {reference!r} is {type(value).__name__!s}, not a durableq App{_instead(name, module)}")
    assert isinstance(value, App)
    return value


def _instead(name: str, module: ModuleType) -> str:
    held = _held(module)
    return f"; it has {', '.join(f'{name}:{known}' for known in held)}" if held else ""


def _is_app(value: object) -> bool:
    # Not isinstance: it asks a lazy object, such as Django's settings, for its class, which makes it load.
    return issubclass(type(value), App)


def _held(module: ModuleType) -> dict[str, App]:
    """The apps that a module holds, each by the first of its names."""
    held: dict[str, App] = {}
    for name, member in list(vars(module).items()):
        if _is_app(member) and not any(member is known for known in held.values()):
            held[name] = member
    return held


def _only_app(module: ModuleType, reference: str) -> App:
    held = _held(module)
    if len(held) == 1:
        return next(iter(held.values()))
    if held:
        named = " or ".join(f"{reference}:{name}" for name in held)
        raise ConfigError(f"app {reference!r}: the module holds {len(held)} Apps. Name one of them: {named}")
    inside = [f"{reference}.{found.name}" for found in pkgutil.iter_modules(getattr(module, "__path__", []))]
    if inside:
        raise ConfigError(
            f"app {reference!r}: the package itself holds no App. Name the module that makes it; there are "
            f"{', '.join(inside)}"
        )
    raise ConfigError(f"app {reference!r}: the module holds no App. Name the module that makes it")


def _include(app: App) -> Iterator[Reason]:
    for name in app.include:
        try:
            import_named(name, included_by(app, name))
        except (Exception, SystemExit) as error:
            yield reason_of(error)


def _namesakes(reference: str, app: App, found: dict[str, App]) -> Iterator[Reason]:
    for known, other in found.items():
        if other.id == app.id:
            yield _ours(f"two apps have the id {app.id!r}: {known} and {reference}. Give one another id")


def _why_empty(reference: str, app: App) -> str:
    imported = ", ".join([reference.partition(":")[0], *app.include])
    text = f"app {app.id!r} ({reference}) has no functions: none is declared for it by what was imported, {imported}. "
    elsewhere = [name for name in _names_of(app.id) if name != reference]
    if elsewhere:
        # One file imported under two names makes two apps, and the functions go to the other.
        return text + f"There is another App of this id with functions, {elsewhere[0]}: name that one"
    return text + f"Name the modules that declare its functions: App({app.id!r}, include=[…])"


def _names_of(app_id: str) -> list[str]:
    """Where in this process there are apps of this id with functions."""
    named = []
    for module_name, module in list(sys.modules.items()):
        # Anything may stand in sys.modules, whatever its type says.
        held = _held(module) if issubclass(type(module), ModuleType) else {}
        named += [f"{module_name}:{name}" for name, app in held.items() if app.id == app_id and app.functions]
    return named


def _ours(text: str) -> Reason:
    return Reason("", text, ConfigError(text))
