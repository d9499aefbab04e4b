"""Known security flaws of servers, and the releases that mend them. A table of our own, as of the month below.

Taken from the release notes of Redis and Valkey: those flaws by which a client may execute code, and those by which one
may stop the server without a password. A release line without an entry got no fix: it was not maintained any more.

When adding a flaw: add its row with the first fixed release of each line, set AS_OF, and add the row in docs/doctor.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

AS_OF: Final = "2026-09"

Version = tuple[int, ...]


class Flaw(NamedTuple):
    """A flaw. `redis` and `valkey` are the first fixed releases, a line each (empty: not affected); `since` is the first
    Redis that has it. Valkey began as Redis 7.2."""

    id: str
    what: str
    redis: tuple[str, ...]
    valkey: tuple[str, ...]
    since: str = "0"


FLAWS: Final = (
    Flaw(
        "CVE-2024-31449",
        "a Lua script may execute code (bit library)",
        ("6.2.16", "7.2.6", "7.4.1"),
        ("7.2.7", "8.0.1"),
    ),
    Flaw(
        "CVE-2024-46981",
        "a Lua script may execute code (garbage collector)",
        ("6.2.17", "7.2.7", "7.4.2"),
        ("7.2.8", "8.0.2"),
    ),
    Flaw(
        "CVE-2025-21605",
        "a client without a password may use up all memory",
        ("6.2.18", "7.2.8", "7.4.3", "8.0.0"),
        ("7.2.9", "8.0.3", "8.1.1"),
    ),
    Flaw(
        "CVE-2025-32023",
        "a client may execute code (HyperLogLog)",
        ("6.2.19", "7.2.10", "7.4.5", "8.0.3"),
        ("7.2.10", "8.0.4", "8.1.3"),
    ),
    Flaw(
        "CVE-2025-49844",
        "a Lua script may execute code (RediShell)",
        ("6.2.20", "7.2.11", "7.4.6", "8.0.4", "8.2.2"),
        ("7.2.11", "8.0.6", "8.1.4"),
    ),
    Flaw("CVE-2025-62507", "a client may execute code (XACKDEL)", ("8.2.3",), (), since="8.2.0"),
    Flaw(
        "CVE-2026-23479",
        "a client may execute code (blocked commands)",
        ("7.2.14", "7.4.9", "8.2.6", "8.4.3", "8.6.3"),
        ("7.2.13", "8.0.9", "8.1.7", "9.0.4"),
        since="7.2.0",
    ),
    Flaw(
        "CVE-2026-25243",
        "a client may execute code (RESTORE)",
        ("6.2.22", "7.2.14", "7.4.9", "8.2.6", "8.4.3", "8.6.3"),
        ("7.2.13", "8.0.9", "8.1.7", "9.0.4"),
    ),
    Flaw(
        "CVE-2026-66373",
        "a client may execute code (RESTORE of a stream)",
        ("6.2.23", "7.2.15", "7.4.10", "8.2.8", "8.4.5", "8.6.5", "8.8.0"),
        (),
    ),
    Flaw(
        "CVE-2026-63639",
        "a client may execute code (a stream in a dump)",
        (),
        ("7.2.14", "8.0.10", "8.1.9", "9.0.5", "9.1.1"),
    ),
    Flaw(
        "CVE-2026-56684",
        "a client over TLS may execute code (CLIENT KILL)",
        (),
        ("7.2.14", "8.0.10", "8.1.9", "9.0.5", "9.1.1"),
    ),
)


class Server(NamedTuple):
    """What answers: `Redis` or `Valkey`, and its version as it says it."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def server_in(info: Mapping[str, str]) -> Server | None:
    """What INFO says. A Valkey also tells which Redis it is like."""
    if info.get("valkey_version"):
        return Server("Valkey", info["valkey_version"])
    return Server("Redis", info["redis_version"]) if info.get("redis_version") else None


def flaws_of(server: Server) -> list[Flaw]:
    """The flaws that a server of this version has, unless whoever built it has mended them."""
    version = parsed(server.version)
    return [flaw for flaw in FLAWS if _has(flaw, server.name, version)]


def remedy(server: Server) -> str:
    """The nearest release without any of them: of its own line if that is maintained."""
    version = parsed(server.version)
    lines: dict[Version, Version] = {}
    for flaw in FLAWS:
        for text in _fixes(flaw, server.name):
            fix = parsed(text)
            lines[fix[:2]] = max(fix, lines.get(fix[:2], fix))
    for line in sorted(lines):
        text = ".".join(map(str, lines[line]))
        if line >= version[:2] and not flaws_of(Server(server.name, text)):
            return text
    return ""


def parsed(version: str) -> Version:
    """7.2.4-rc1 is (7, 2, 4)."""
    numbers = []
    for part in version.split(".")[:3]:
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def _fixes(flaw: Flaw, name: str) -> tuple[str, ...]:
    return flaw.valkey if name == "Valkey" else flaw.redis


def _has(flaw: Flaw, name: str, version: Version) -> bool:
    fixes = [parsed(text) for text in _fixes(flaw, name)]
    if not version or not fixes or (name == "Redis" and version < parsed(flaw.since)):
        return False
    own = [fix for fix in fixes if fix[:2] == version[:2]]
    return version < own[0] if own else version[:2] < max(fixes)[:2]
