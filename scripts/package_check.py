"""Proves that what is released installs and runs, with the oldest and with the newest of what it depends on.

Builds the wheel and the source distribution, looks into both, and builds the wheel again from the latter. Then, for each
set of versions, in an environment of its own: installs the wheel, imports every module, and has `durableq` do what it is for:
check, sync, a worker with a scheduler, an event, a completed run.

  lowest    the lower bounds of pyproject.toml, exactly; up to Python 3.12 those of the extras `fast` and `pydantic` too,
            which have no wheels for later ones
  highest   whatever pip takes today, without extras

Needs redis-server on PATH, and the package index. About a minute; less than three on a slow machine.
"""

from __future__ import annotations

import argparse
import email.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from check_wheel import IMPORT_ALL, ROOT, build, compare, run

SETS = ("lowest", "highest")
EXTRAS = ("fast", "pydantic")
PATIENCE_S = 30.0
SOURCE_FILES = (
    "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "deploy/durableq.acl", "docs/inside.md",
    "tests/conftest.py", "workers/app.py", "scripts/package_check.py",
)  # fmt: skip
APP = """
import durableq as dq

app = dq.App("packaged")


def double(number: int) -> int:
    return 2 * number


MORNING = dq.CronTrigger("0 9 * * *", timezone="Europe/Paris")


@app.function("twice", triggers=[dq.EventTrigger("go", if_="event.data.n > 1"), MORNING])
async def twice(ctx):
    doubled = await ctx.step.run("double", double, ctx.event.data["n"])
    await ctx.step.sleep("nap", "200ms")
    return doubled


@app.function("plain", triggers=[dq.EventTrigger("go")])
def plain(ctx):
    return ctx.parallel(lambda: ctx.step.run("one", double, 1), lambda: ctx.step.run("two", double, 2))
"""


def main() -> None:
    """Build, look, install, run; ends with a message at the first thing that is wrong."""
    sys.stdout.reconfigure(line_buffering=True)  # in order with what the commands print
    parser = argparse.ArgumentParser(
        prog="scripts/package-check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=SETS, help="only this set of versions")
    parser.add_argument(
        "--python", default=sys.executable, help="the interpreter of the environments (default: this one)"
    )
    given = parser.parse_args()
    if shutil.which("redis-server") is None:
        sys.exit("redis-server is not on PATH: scripts/setup installs it")
    with tempfile.TemporaryDirectory(prefix="durableq-package-") as name:
        folder = Path(name)
        wheel = build(folder)
        compare(wheel)
        compare_source(build_source(folder), wheel)
        for versions in [given.only] if given.only else SETS:
            python = install(wheel, versions, given.python, folder / versions)
            run(python, "-W", "error", "-c", IMPORT_ALL, cwd=folder)
            with redis_server(folder / f"{versions}-redis") as url:
                do_what_it_is_for(python.parent / "durableq", url, folder / f"{versions}-app")


def build_source(folder: Path) -> Path:
    """The source distribution, made with what pyproject.toml names."""
    environment = folder / "build"
    venv.create(environment)
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "pip", f"--python={python}", "install", "-qq", "hatchling")
    done = subprocess.run(
        [python, "-m", "hatchling", "build", "-t", "sdist", "-d", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"the source distribution cannot be built:\n{done.stdout}{done.stderr}")
    (source,) = folder.glob("*.tar.gz")
    return source


def compare_source(source: Path, wheel: Path) -> None:
    """Exit unless it holds what it should, nothing of this machine, and makes the same wheel."""
    folder = source.parent / "source"
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    lacking = [name for name in SOURCE_FILES if not (root / name).is_file()]
    strange = [
        path.name for path in root.iterdir() if path.name in {".venv", ".git", ".hypothesis", ".durableq", "dist"}
    ]
    if lacking or strange:
        sys.exit(f"{source.name} lacks {lacking} and has {strange}")
    again = folder / "wheel"
    run(sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--wheel-dir", again, root)
    if contents(again / wheel.name) != contents(wheel):
        sys.exit(f"{source.name} makes another wheel than the repository")
    print(f"{source.name}: makes the same wheel")


def contents(wheel: Path) -> dict[str, int]:
    """The files of a wheel with their checksums."""
    return {info.filename: info.CRC for info in zipfile.ZipFile(wheel).infolist()}


def install(wheel: Path, versions: str, interpreter: str, environment: Path) -> Path:
    """An environment of this interpreter with the wheel and this set of versions. Returns its Python."""
    run(interpreter, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    exactly = list(lower_bounds(wheel, EXTRAS if is_early(python) else ())) if versions == "lowest" else []
    if exactly:
        print(f"{versions}: {' '.join(exactly)}")
    run(sys.executable, "-m", "pip", f"--python={python}", "install", "-qq", wheel, *exactly)
    run(sys.executable, "-m", "pip", f"--python={python}", "-q", "check")
    return python


def is_early(python: Path) -> bool:
    """Whether it is 3.11 or 3.12."""
    return (
        subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info >= (3, 13))"], check=False).returncode == 0
    )


def lower_bounds(wheel: Path, extras: tuple[str, ...]) -> Iterator[str]:
    """What the wheel and these extras require, each at the lowest version that they allow."""
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = email.parser.Parser().parsestr(archive.read(name).decode())
    for line in metadata.get_all("Requires-Dist", []):
        requirement, _, marker = line.partition(";")
        extra = re.search(r"extra == '(\w+)'", marker)
        if extra and extra[1] not in extras:
            continue
        found = re.match(r"([\w.-]+(?:\[[\w,]+\])?)\s*\(?([^)]*)", requirement.strip())
        lowest = found and re.search(r">=\s*([\w.]+)", found[2])
        if not found or not lowest:
            sys.exit(f"{line} has no lower bound")
        yield f"{found[1]}=={lowest[1]}"


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A server on a socket in this folder."""
    folder.mkdir()
    given = [
        "redis-server",
        "--dir",
        folder,
        "--port",
        "0",
        "--unixsocket",
        folder / "s",
        "--save",
        "",
        "--logfile",
        folder / "log",
    ]
    server = subprocess.Popen(given)
    try:
        wait_for("the server's socket", (folder / "s").exists)
        yield f"unix://{folder / 's'}"
    finally:
        server.kill()
        server.wait()


def do_what_it_is_for(command: Path, url: str, folder: Path) -> None:
    """An app, a worker, an event, its runs."""
    folder.mkdir()
    (folder / "packaged.py").write_text(APP)
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("DURABLEQ_", "PYTHON"))}
    env = {**kept, "DURABLEQ_URL": url, "DURABLEQ_APP": "packaged:app"}

    def ask(*words: str) -> str:
        done = subprocess.run(
            [command, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            sys.exit(f"durableq {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    ask("check")
    ask("sync")
    ask("send", "go", "--data", '{"n": 21}')
    with (folder / "log").open("wb") as log:
        worker = subprocess.Popen([command, "worker", "--with-scheduler"], cwd=folder, env=env, stdout=log, stderr=log)
    try:
        wait_for(
            "two completed runs",
            lambda: len(json.loads(ask("runs", "list", "--json", "--status", "completed"))) == 2,
            lambda: (folder / "log").read_text(),
        )
        worker.terminate()
        code = worker.wait(PATIENCE_S)
    finally:
        worker.kill()
        worker.wait()
    results = {
        run["function"]: json.loads(ask("runs", "show", run["id"], "--json"))["result"]
        for run in json.loads(ask("runs", "list", "--json"))
    }
    if code or results != {"packaged/twice": 42, "packaged/plain": [2, 4]}:
        sys.exit(f"the worker left with {code}, and the results are {results}:\n{(folder / 'log').read_text()}")
    print(f"{command.parent.parent.name}: {ask('--version').strip()}: two runs completed")


def wait_for(what: str, condition: object, explain: object = None) -> None:
    """Poll a condition until it is true; exit when it takes too long."""
    assert callable(condition)
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"not within {PATIENCE_S:g} s: {what}\n{explain() if callable(explain) else ''}")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
