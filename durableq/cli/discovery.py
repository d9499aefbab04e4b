"""Which apps a command means: its arguments, else DURABLEQ_APP, else `app` under [tool.durableq] in pyproject.toml.

An app is named `MODULE:APP`, or `MODULE` where the module holds exactly one. Nothing is imported here: a worker's parent
loads no user code, and passes on to its children what it has found.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from durableq.words.errors import ConfigError

APP_VARIABLE: Final = "DURABLEQ_APP"
PROJECT_FILE: Final = "pyproject.toml"
TABLE: Final = "[tool.durableq]"


class Named(NamedTuple):
    """References to apps, and a directory that they are imported from besides the current one ("": none)."""

    references: tuple[str, ...]
    directory: str = ""


def named_apps(arguments: Sequence[str]) -> Named:
    """Decide. Each reference has been checked for how it is written, not for what it names.

    Raises:
        ConfigError: No app is named anywhere, a reference is not written as it must be, or pyproject.toml breaks a rule.
    """
    if arguments:
        return _checked(Named(tuple(arguments)), "")
    from_variable = split_references(os.environ.get(APP_VARIABLE, ""))
    if from_variable:
        return _checked(Named(from_variable), f" (from {APP_VARIABLE})")
    project = _project()
    if project is None:
        raise ConfigError(
            f'no app was named: pass MODULE:APP, set {APP_VARIABLE}, or write app = "MODULE:APP" under {TABLE} in '
            f"{PROJECT_FILE}"
        )
    path, table = project
    return _checked(Named(_references(path, table), str(path.parent)), f" (from {path})")


def split_references(text: str) -> tuple[str, ...]:
    """References in a variable: separated by commas or spaces."""
    return tuple(text.replace(",", " ").split())


def check_reference(reference: str) -> None:
    """Raise ConfigError unless this is written `MODULE:APP` or `MODULE`."""
    module, _, attribute = reference.partition(":")
    if "/" in module or os.sep in module or module.endswith(".py"):
        raise ConfigError(f"app {reference!r} is a path: {_as_module(module, attribute)}")
    parts = reference.split(":")
    if len(parts) > 2 or not all(name.isidentifier() for part in parts for name in part.split(".")):
        raise ConfigError(
            f"app {reference!r} must be written MODULE:APP, such as 'workers.app:app', or MODULE where it holds one App"
        )


def _as_module(path: str, attribute: str) -> str:
    """What to write instead of this path."""
    inside = os.path.relpath(path) if os.path.isabs(path) else os.path.normpath(path)
    names = inside.removesuffix(".py").removesuffix("/__init__").split("/")
    if all(name.isidentifier() for name in names):
        return f"write {'.'.join(names)}{':' if attribute else ''}{attribute}"
    return "write the name by which Python imports it, such as 'workers.app:app'"


def _checked(named: Named, origin: str) -> Named:
    for reference in named.references:
        try:
            check_reference(reference)
        except ConfigError as error:
            raise ConfigError(f"{error}{origin}") from None
    return named


def _project() -> tuple[Path, dict[str, Any]] | None:
    """The nearest pyproject.toml with our table, from the current directory upwards, and that table."""
    here = Path.cwd()
    for directory in (here, *here.parents):
        path = directory / PROJECT_FILE
        try:
            text = path.read_text("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        try:
            tool = tomllib.loads(text).get("tool", {})
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path} is not TOML: {error}") from None
        if isinstance(tool, dict) and "durableq" in tool:
            return path, tool["durableq"]
    return None


def _references(path: Path, table: object) -> tuple[str, ...]:
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {TABLE} must be a table, not {table!r}")
    unknown = sorted(set(table) - {"app"})
    if unknown:
        raise ConfigError(f"{path}: {TABLE} knows 'app' and no other key, not {unknown[0]!r}")
    app = table.get("app", [])
    references = [app] if isinstance(app, str) else app
    if not isinstance(references, list) or not references or not all(isinstance(name, str) for name in references):
        raise ConfigError(
            f'{path}: app under {TABLE} must be "MODULE:APP", or a list of such texts with at least one, not {app!r}'
        )
    return tuple(references)
