"""A deployment, as the registry knows it: an id, and what each app declares."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

from durableq.app import App
from durableq.model.config import RELEASE_VARIABLES, first_of

RELEASE_MAX = 128


def release_of(given: str, apps: Iterable[App]) -> str:
    """The deployment's id: what was given, the platform's release number, else a hash of the declarations."""
    named = given or first_of(os.environ, RELEASE_VARIABLES)
    if named:
        return named[:RELEASE_MAX]
    digest = hashlib.blake2b(digest_size=8)
    for app in sorted(apps, key=lambda app: app.id):
        for _, declaration in sorted(declarations_of(app).items()):
            digest.update(declaration)
    return digest.hexdigest()


def declarations_of(app: App) -> dict[str, bytes]:
    """What the registry stores of each of its functions, by short id."""
    return {function.id: function.declaration() for function in app.functions.values()}
