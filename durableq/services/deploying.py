"""Makes a deployment of an app the newest, without a worker: what `durableq sync` does in a release phase.

It registers what a worker of this deployment would register, by the same script, after it has given the deployment the
highest number: so a release that goes back to old code is the newest too. Functions that it lacks are forgotten at once where
no living worker has them, and later by the rule for all where one does. Each step may be repeated; a crash between two
leaves the previous functions in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from durableq.store.registry import Registry
from durableq.words import codec
from durableq.words.errors import CodecError, DurableqError


class Overtaken(DurableqError):
    """Another deployment was made the newest at the same time. Run sync again for the one that is meant."""


class Change(NamedTuple):
    """An option of a function that is declared otherwise than before."""

    option: str
    before: Any
    after: Any


class Deployed(NamedTuple):
    """What a deployment changed, by short ids."""

    app: str
    release: str
    functions: int
    added: list[str]
    changed: dict[str, list[Change]]
    removed: list[str]
    """Those that the deployment before had and this one lacks."""
    lingering: list[str]
    """Those that no deployment has any more and a living worker still has; they are forgotten later."""


async def deploy(registry: Registry, app: str, release: str, declarations: Mapping[str, bytes]) -> Deployed:
    """Register these declarations as the app's newest deployment. Raises Overtaken, and what Redis raises."""
    known, absent = await registry.declared(app)
    before = {name: blob for name, blob in known.items() if name not in absent}
    await registry.promote_deployment(app, release)
    if not (await registry.register_app(app, release, declarations)).newest:
        raise Overtaken(f"app {app!r}: another deployment than {release!r} was made the newest meanwhile")
    await registry.retire_functions(0, app)
    _, lingering = await registry.declared(app)
    changes = {
        name: _changes(before[name], declarations[name])
        for name in sorted(declarations)
        if name in before and before[name] != declarations[name]
    }
    return Deployed(
        app,
        release,
        len(declarations),
        added=sorted(set(declarations) - set(before)),
        changed=changes,
        removed=sorted(set(before) - set(declarations)),
        lingering=sorted(lingering),
    )


def _changes(before: bytes, after: bytes) -> list[Change]:
    old, new = _options(before), _options(after)
    return [
        Change(option, old.get(option), new.get(option))
        for option in sorted({*old, *new})
        if old.get(option) != new.get(option)
    ]


def _options(declaration: bytes) -> dict[str, Any]:
    try:
        return dict(codec.decode(declaration))
    except (CodecError, TypeError, ValueError):
        return {}  # of a release that wrote it in another way: everything has changed
