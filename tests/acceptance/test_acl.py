"""deploy/durableq.acl: the commands of durableq, all of them and no other, and a namespace's keys."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

import durableq as dq
from tests.acceptance.harness import APP, REPOSITORY, Stage, until
from tests.acceptance.ledger import VARIABLE
from tests.durableq_command import durableq, environment
from tests.servers import RealServer

ACL_FILE = REPOSITORY / "deploy" / "durableq.acl"
RULES = ACL_FILE.read_text().split()[2:]
SECRET = "canary-7f"
# What a connection says of itself, and its health: redis-py's, and the link's.
OF_CONNECTIONS = {"auth", "select", "ping", "client|setname", "eval", "evalsha"}
REFUSED = (
    "FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "CONFIG SET maxmemory 1", "ACL LIST", "SHUTDOWN", "MONITOR", "SUBSCRIBE x",
    "SCRIPT FLUSH", "FUNCTION LIST", "CLIENT LIST", "REPLICAOF NO ONE", "GET other", "GET dq:{other:0}:meta",
    "DEL dq:{other:0}:meta", "EVAL return(redis.call('FLUSHALL')) 0", "EVAL return(redis.call('GET','other')) 0",
)  # fmt: skip
WITH_SUBCOMMAND = {"xgroup", "config"}


def _used() -> Iterator[str]:
    """Every command that a script calls or that the store sends by itself."""
    store = REPOSITORY / "durableq" / "store"
    lua = r"redis\.p?call\(\s*'([A-Za-z]+)'(?:\s*,\s*'([A-Z]+)')?"
    python = r'(?:\.(?:read|command)\(\s*|= \(\s*)"([A-Z]+)"(?:, "([A-Z]+)")?'
    for pattern, found in ((lua, store.rglob("*.lua")), (python, store.glob("*.py"))):
        for path in found:
            for command, word in re.findall(pattern, path.read_text()):
                name = command.lower()
                yield f"{name}|{word.lower()}" if name in WITH_SUBCOMMAND else name


def test_no_script_names_its_command_in_another_way() -> None:
    """Else the list below would not be complete."""
    for path in (REPOSITORY / "durableq" / "store").rglob("*.lua"):
        calls = re.findall(r"redis\.p?call\(\s*(.)", path.read_text())
        assert set(calls) <= {"'"}, path


def test_the_acl_permits_what_is_used_and_nothing_else() -> None:
    permitted = {rule[1:] for rule in RULES if rule.startswith("+")}
    assert permitted == set(_used()) | OF_CONNECTIONS
    assert RULES[: RULES.index("-@all") + 2] == [
        "off",
        "resetpass",
        "resetkeys",
        "resetchannels",
        "-@all",
        "~dq:{default:*",
    ]


@pytest.fixture(params=["redis7", "valkey"])
def guarded(request: pytest.FixtureRequest, start_server: Callable[..., RealServer]) -> tuple[RealServer, str]:
    """A server on which only this user may do anything, and the URL with its password."""
    server = start_server(request.param, tcp=True)
    with server.sync_client() as client:
        client.execute_command("ACL", "SETUSER", "durableq", *RULES)
        client.execute_command("ACL", "SETUSER", "durableq", "on", f">{SECRET}")
    return server, server.url.replace("://", f"://durableq:{SECRET}@") + "/2"


async def test_everything_runs_as_that_user(guarded: tuple[RealServer, str], tmp_path: Path) -> None:
    server, url = guarded
    stage = Stage(server, tmp_path)
    try:
        env = environment(DURABLEQ_URL=url, **{VARIABLE: str(stage.ledger.path)})
        synced = durableq("sync", APP, env=env)
        assert synced.returncode == 0, synced.stderr
        killed = await stage.worker(url=url).working()
        await stage.scheduler(url=url).says("scheduler.working")
        async with dq.Client(url) as client:
            sent = [
                dq.Event(f"work/{name}", {"seconds": 0.2, "nap": 0.3})
                for name in ("chain", "plain", "stubborn", "hopeless")
            ]
            await client.send([*sent, dq.Event("work/one", {"seconds": [60, 0]})])
            await _status(client, "completed", 3)
            killed.kill_group()
            await stage.worker("--with-scheduler", url=url).working()
            await _status(client, "completed", 4)
            await _status(client, "failed", 1)
        for looking in (("runs", "list"), ("functions",), ("doctor",)):
            done = durableq(*looking, "--json", env=env)
            assert done.returncode in (0, 1), done.stderr
            assert "NOPERM" not in done.stdout + done.stderr
            assert json.loads(done.stdout)
        for process in stage.processes:
            assert "NOPERM" not in process.log_path.read_text()
            assert not process.log("service.failed")
            assert SECRET not in process.log_path.read_text()
        assert _refusals(server) <= {"client|setinfo"}  # the client library introduces itself, and takes a no
    finally:
        await stage.close()


async def _status(client: dq.Client, status: str, count: int) -> None:
    async def there() -> bool:
        return len(await client.runs.list(status=status)) == count

    await until(there, f"{count} runs are {status}", within_s=30)


def _refusals(server: RealServer) -> set[str]:
    with server.sync_client() as client:
        log: Any = client.execute_command("ACL", "LOG", 100)
    found = [entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2], strict=True)) for entry in log]
    named = [{_text(name): value for name, value in entry.items()} for entry in found]
    return {_text(entry["object"]) for entry in named}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def test_anything_else_is_refused(guarded: tuple[RealServer, str]) -> None:
    with redis.Redis.from_url(guarded[1], protocol=2) as client:
        for command in REFUSED:
            with pytest.raises(redis.RedisError, match=r"(?i)permission|can't run|can't access|ACL failure"):
                client.execute_command(*command.split(" "))
