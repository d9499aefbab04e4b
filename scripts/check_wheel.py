#!/usr/bin/env python3
"""Proves that what is installed is what is in the repository: builds the wheel, looks into it, imports it elsewhere.

The wheel must hold every file of the package: the Lua scripts and `py.typed` beside the Python. Installed in an
environment of its own, without any extra, every module must import; but `durableq.testing` must name the extra that it needs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

IMPORT_ALL = """
import importlib, pathlib, pkgutil, sys
import durableq
home = pathlib.Path(durableq.__file__).resolve()
assert home.is_relative_to(sys.prefix), f"imported {home}, which is not the installed package"
names = {module.name for module in pkgutil.walk_packages(durableq.__path__, "durableq.")} - {"durableq.__main__"}
names -= {name for name in names if name.startswith("durableq.testing.")}
for name in sorted(names):
    importlib.import_module(name)
try:
    importlib.import_module("durableq.testing").TestEnv
except ImportError as error:
    assert "durableq[testing]" in str(error), error
else:
    raise AssertionError("durableq.testing works without its extra: is it installed here?")
print(f"imported durableq and its {len(names)} modules")
"""


def main() -> None:
    """Build, look, install, import; ends with a message at the first thing that is wrong."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory(prefix="durableq-wheel-") as folder:
        wheel = build(Path(folder))
        compare(wheel)
        import_elsewhere(wheel, Path(folder) / "environment")


def build(folder: Path) -> Path:
    """The wheel, made from this tree as pip makes it."""
    run(sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def compare(wheel: Path) -> None:
    """Exit unless the wheel holds the files of durableq/, all of them and nothing else."""
    present = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    source = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "durableq").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    if present != source:
        sys.exit(f"{wheel.name} lacks {sorted(source - present)} and has beside the package {sorted(present - source)}")
    scripts = sum(name.startswith("durableq/store/lua/") and name.endswith(".lua") for name in present)
    if "durableq/py.typed" not in present or not scripts:
        sys.exit(f"{wheel.name} has no py.typed or no Lua")
    print(f"{wheel.name}: {len(present)} files, {scripts} Lua scripts among them, and py.typed")


def import_elsewhere(wheel: Path, environment: Path) -> None:
    """Install the wheel with its dependencies and import every module, away from the repository."""
    venv.create(environment)
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "pip", f"--python={python}", "install", "-qq", wheel)
    run(python, "-W", "error", "-c", IMPORT_ALL, cwd=environment)


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a command, and end with its exit code if it fails."""
    code = subprocess.run(command, cwd=cwd, check=False).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
