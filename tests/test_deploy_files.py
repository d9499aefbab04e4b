"""What people deploy with is right: commands, flags and variables exist, times fit together, images stop cleanly.

No container engine and no platform is needed: files are parsed, and compared with the command line itself.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from durableq.cli.main import main
from durableq.model.config import URL_VARIABLES
from durableq.words.periods import to_ms
from tests.durableq_command import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
UNITS = sorted(DEPLOY.glob("systemd/*"))
PAGES = ("deploying.md", "operations.md", "upgrading.md")
FILES = {
    path.relative_to(REPOSITORY).as_posix(): path.read_text()
    for path in (
        *(REPOSITORY / name for name in ("Procfile", "app.json", "Dockerfile", "compose.yaml")),
        *(path for path in sorted(DEPLOY.rglob("*")) if path.is_file()),
        *(REPOSITORY / "docs" / page for page in PAGES),
        REPOSITORY / "SECURITY.md",
    )
}
OTHER_VARIABLES = {*URL_VARIABLES, "DURABLEQ_APP", "DURABLEQ_NAMESPACE"}


# ---- commands and variables


def written_commands(name: str, text: str) -> Iterator[list[str]]:
    """Every `durableq …` of a file, as words: argument lists, and lines or spans of code."""
    for listed in re.findall(r'\[("durableq"[^\]…]*)\]', text):
        yield json.loads(f"[{listed}]")
    if name.endswith(".md"):
        code = [
            line.strip()
            for block in re.findall(r"^```\w*\n(.*?)^```$", text, re.M | re.S)
            for line in block.splitlines()
        ]
        code += re.findall(r"^ {4}(\S.*)$", text, re.M) + re.findall(r"`([^`\n]+)`", text)
        found = [re.sub(r"^(?:\w+: |[\w=]+=\S* )*", "", line) for line in code]
    else:
        pattern = r'^[^#\n]*?(?:: |= "|=/opt/shop/\.venv/bin/|/bin/)(durableq [^"\n|]*)'
        found = [line.split("||")[0] for line in re.findall(pattern, text, re.M)]
    for line in found:
        if line.startswith("durableq "):
            yield shlex.split(line, comments=True)


COMMANDS = [(name, words) for name, text in FILES.items() for words in written_commands(name, text)]


def understood(words: list[str]) -> click.Context:
    """The words as the command line takes them. Raises click.UsageError for a flag that does not exist."""
    group: click.Command | None = main
    # With the settings of the real one: a command remembers the first help option that it is asked for.
    context = click.Context(main, info_name=words[0], **main.context_settings)
    rest = words[1:]
    while isinstance(group, click.Group):
        if not rest or rest[0].startswith("-"):
            return context
        name, rest = rest[0], rest[1:]
        group = group.get_command(context, name)
    assert group is not None, f"no command {' '.join(words)}"
    return group.make_context(" ".join(words), rest, parent=context)


@pytest.mark.parametrize(("name", "words"), COMMANDS, ids=[f"{name}: {' '.join(words)}" for name, words in COMMANDS])
def test_a_command_is_one_that_the_command_line_takes(
    name: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DURABLEQ_HEALTH_FILE", "/tmp/durableq-health")
    if "…" in words or "…" in words[-1]:
        words = words[: next(place for place, word in enumerate(words) if "…" in word)]
    understood(words)


def test_commands_are_found_in_every_file_that_runs_one() -> None:
    """Else the test above would have nothing to say of them."""
    by_file = {name for name, _ in COMMANDS}
    silent = {"app.json", "deploy/durableq.acl", "SECURITY.md"}
    assert {name for name in FILES if name not in by_file} <= silent | {
        name for name in FILES if name.endswith(".timer")
    }
    assert len([words for name, words in COMMANDS if name == "docs/deploying.md"]) > 5


def known_variables() -> set[str]:
    def of(group: click.Group) -> Iterator[str]:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            if isinstance(command, click.Group):
                yield from of(command)
            for parameter in command.params:
                given = parameter.envvar
                yield from [given] if isinstance(given, str) else given or []

    return {*of(main), *OTHER_VARIABLES}


@pytest.mark.parametrize("name", FILES)
def test_variables_that_a_file_names_exist(name: str) -> None:
    assert set(re.findall(r"\bDURABLEQ_[A-Z_]*[A-Z]", FILES[name])) <= known_variables()


@pytest.mark.parametrize("page", PAGES)
def test_excerpts_are_of_the_files_that_they_name(page: str) -> None:
    """A block that begins with `# path` shows lines of that file, in their order."""
    for block in re.findall(r"^```\w*\n(.*?)^```$", FILES[f"docs/{page}"], re.M | re.S):
        named = re.match(r"# (\S+)\n", block)
        if named and (REPOSITORY / named[1]).is_file():
            lines = iter((REPOSITORY / named[1]).read_text().splitlines())
            for line in block.splitlines()[1:]:
                assert not line.strip() or any(line.strip() == other.strip() for other in lines), f"{named[1]}: {line}"


@pytest.mark.parametrize("page", [*(f"docs/{page}" for page in PAGES), "SECURITY.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (REPOSITORY / page).read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (REPOSITORY / page).parent / path if path else REPOSITORY / page
        assert there.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", there.read_text(), re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}, target


@pytest.mark.parametrize("page", ["operations.md", "deploying.md", "upgrading.md"])
def test_log_lines_that_a_page_names_are_in_the_table(page: str) -> None:
    table = (REPOSITORY / "docs" / "inside.md").read_text()
    listed = set(re.findall(r"^\| `([^`]+)`", table, re.M))
    areas = {name.partition(".")[0] for name in listed if "." in name}
    named = {
        span
        for span in re.findall(r"`([a-z]+\.[a-z_]+)`", FILES[f"docs/{page}"])
        if span.partition(".")[0] in areas and not span.endswith((".toml", ".yaml", ".md", ".acl"))
    }
    assert named <= listed


# ---- times


def grace_ms(words: list[str]) -> int:
    context = understood(words)
    return int(context.params["grace"] * 1000)


def test_every_platform_gives_a_worker_longer_than_its_grace() -> None:
    """A worker leaves within grace + 2 s; whoever kills earlier cuts off what it still finishes."""
    windows: dict[str, int] = {"Procfile": 30_000, "app.json": 30_000}
    fly = tomllib.loads(FILES["deploy/fly.toml"])
    windows["deploy/fly.toml"] = to_ms("kill_timeout", fly["kill_timeout"])
    render = yaml.safe_load(FILES["deploy/render.yaml"])
    windows["deploy/render.yaml"] = 1000 * max(each.get("maxShutdownDelaySeconds", 30) for each in render["services"])
    worker = _deployments()["durableq-worker"]["spec"]["template"]["spec"]
    windows["deploy/kubernetes/durableq.yaml"] = 1000 * worker["terminationGracePeriodSeconds"]
    compose = yaml.safe_load(FILES["compose.yaml"])
    windows["compose.yaml"] = to_ms("stop_grace_period", compose["services"]["worker"]["stop_grace_period"])
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", FILES["deploy/systemd/durableq-worker.service"], re.M)
    windows["deploy/systemd/durableq-worker.service"] = 1000 * int(seconds)
    for name, words in COMMANDS:
        if name in windows and words[1] == "worker":
            assert grace_ms(words) + 2000 <= windows.pop(name), name
    assert windows == {"app.json": 30_000}
    assert to_ms("grace", json.loads(FILES["app.json"])["env"]["DURABLEQ_GRACE"]["value"]) <= 28_000


# ---- Docker


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", FILES["Dockerfile"])
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1].strip()) for line in lines]


def test_the_image_is_small_pinned_and_runs_as_nobody_in_particular() -> None:
    found = instructions()
    known = {"FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "STOPSIGNAL", "HEALTHCHECK", "CMD"}
    assert {name for name, _ in found} <= known
    for image in (what.split()[0] for name, what in found if name == "FROM"):
        assert re.fullmatch(r"python:3\.1[1-4]-slim-\w+", image)
    users = [what for name, what in found if name == "USER"]
    assert users == ["10001"]
    after = [name for name, _ in found[[name for name, _ in found].index("USER") :]]
    assert "RUN" not in after
    assert not [what for name, what in found if name == "RUN" and ("curl" in what or "| sh" in what)]


def test_the_image_starts_without_a_shell_so_that_signals_arrive() -> None:
    found = dict(instructions())
    assert json.loads(found["CMD"]) == ["durableq", "worker"]
    assert found["STOPSIGNAL"] == "SIGTERM"
    options, _, command = found["HEALTHCHECK"].partition("CMD ")
    assert json.loads(command) == ["durableq", "health"]
    given = dict(re.findall(r"--([\w-]+)=(\S+)", options))
    assert set(given) == {"interval", "timeout", "start-period", "retries"}
    environment = dict(re.findall(r"(\w+)=(\S+)", found["ENV"]))
    assert environment["DURABLEQ_HEALTH_FILE"].startswith("/tmp/")
    module, _, name = environment["DURABLEQ_APP"].partition(":")
    assert (REPOSITORY / f"{module.replace('.', '/')}.py").is_file()
    assert name == "app"


def test_what_the_image_copies_is_let_into_the_build_and_little_else() -> None:
    let_in = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for name, what in instructions()
        if name == "COPY" and "--from" not in what
        for source in what.split()[:-1]
    }
    assert let_in == copied
    assert all((REPOSITORY / source).exists() for source in copied)


def test_compose_has_a_redis_that_keeps_what_it_is_given() -> None:
    compose = yaml.safe_load(FILES["compose.yaml"])
    services = compose["services"]
    assert set(services) == {"redis", "sync", "worker", "scheduler"}
    allowed = {
        "build", "image", "command", "environment", "init", "restart", "stop_grace_period", "read_only", "tmpfs", "cap_drop",
        "security_opt", "volumes", "healthcheck", "depends_on",
    }  # fmt: skip
    for service in services.values():
        assert set(service) <= allowed
        assert not service["image"].endswith(":latest")
        assert ":" in service["image"]
        assert set(service.get("depends_on", {})) <= set(services)
    redis = services["redis"]
    words = dict(zip(redis["command"][1::2], redis["command"][2::2], strict=True))
    assert words["--appendonly"] == "yes"
    assert words["--maxmemory-policy"] == "noeviction"
    assert words["--maxmemory"]
    assert redis["volumes"][0].partition(":")[0] in compose["volumes"]
    assert "ports" not in redis
    for name in ("sync", "worker", "scheduler"):
        assert services[name]["environment"]["DURABLEQ_URL"].startswith("redis://redis:")
    assert services["sync"]["restart"] == "no"


def test_the_settings_of_compose_are_ones_that_a_server_takes(tmp_path: Path) -> None:
    """Started for real, except that it listens nowhere and leaves at once."""
    server = shutil.which("redis-server")
    assert server is not None
    words = yaml.safe_load(FILES["compose.yaml"])["services"]["redis"]["command"][1:]
    given = [server, *words, "--port", "0", "--dir", str(tmp_path), "--unixsocket", str(tmp_path / "s")]
    running = subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert running.stdout is not None
        said = []
        for line in running.stdout:
            said.append(line)
            if "Ready to accept connections" in line or "accept connections at" in line:
                break
        else:
            pytest.fail("".join(said))
    finally:
        running.kill()
        running.wait()
        assert running.stdout is not None
        running.stdout.close()


# ---- Kubernetes


def _documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(FILES["deploy/kubernetes/durableq.yaml"]))


def _deployments() -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in _documents() if each["kind"] == "Deployment"}


def test_kubernetes_objects_fit_together() -> None:
    assert [each["kind"] for each in _documents()] == ["Job", "Deployment", "Deployment", "PodDisruptionBudget"]
    for name, each in _deployments().items():
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert each["spec"]["selector"]["matchLabels"] == labels == {"app": name}
        pod = each["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
        given = {variable["name"]: variable.get("value") for variable in container["env"]}
        assert any(str(given["DURABLEQ_HEALTH_FILE"]).startswith(f"{path}/") for path in mounted)
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        assert not container["image"].endswith(":latest")
        assert "cpu" not in container["resources"]["limits"]
        for probe in (container["livenessProbe"], container.get("readinessProbe", {"exec": {"command": []}})):
            assert probe["exec"]["command"][:2] in ([], ["durableq", "health"])
    assert _documents()[3]["spec"]["selector"]["matchLabels"] == {"app": "durableq-worker"}


# ---- the others


def test_app_json_runs_what_the_procfile_names() -> None:
    described = json.loads(FILES["app.json"])
    lines = dict(line.split(": ", 1) for line in FILES["Procfile"].splitlines())
    assert set(described["formation"]) == set(lines) - {"release"}
    assert (REPOSITORY / "requirements.txt").read_text().splitlines()[-1] == ".[fast]"
    assert not any("mini" in addon for addon in described["addons"]), "the smallest plan keeps nothing over a restart"


def test_fly_processes_and_render_services() -> None:
    fly = tomllib.loads(FILES["deploy/fly.toml"])
    assert set(fly["processes"]) == {"worker", "scheduler"}
    assert fly["kill_signal"] == "SIGTERM"
    assert fly["deploy"]["release_command"].startswith("durableq sync ")
    services = {each["name"]: each for each in yaml.safe_load(FILES["deploy/render.yaml"])["services"]}
    assert services["durableq-redis"]["maxmemoryPolicy"] == "noeviction"
    assert services["durableq-redis"]["plan"] != "free"
    for name in ("durableq-worker", "durableq-scheduler"):
        (variable,) = services[name]["envVars"]
        assert variable["fromService"]["name"] == "durableq-redis"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_every_unit(unit: Path, tmp_path: Path) -> None:
    for each in UNITS:
        text = each.read_text().replace("/opt/shop/.venv/bin/durableq", "/bin/true")
        (tmp_path / each.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / unit.name],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert unit.name not in done.stderr


@pytest.mark.parametrize("unit", [unit for unit in UNITS if "health" not in unit.name], ids=lambda unit: unit.name)
def test_units_write_only_where_they_may(unit: Path) -> None:
    text = unit.read_text()
    (health,) = re.findall(r"^Environment=DURABLEQ_HEALTH_FILE=%t/([\w-]+)/health$", text, re.M)
    assert f"RuntimeDirectory={health}\n" in text
    assert "ProtectSystem=strict" in text
    assert "KillMode=mixed" in text
    assert "RestartPreventExitStatus=78" in text
