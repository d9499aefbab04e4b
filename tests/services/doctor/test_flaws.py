"""The table of known flaws, and what a version number says."""

from __future__ import annotations

import pytest

from durableq.services.doctor.flaws import AS_OF, FLAWS, Server, flaws_of, parsed, remedy, server_in


def ids(name: str, version: str) -> set[str]:
    return {flaw.id for flaw in flaws_of(Server(name, version))}


@pytest.mark.parametrize(
    ("name", "version", "has"),
    [
        ("Redis", "6.2.19", True),
        ("Redis", "6.2.20", False),
        ("Redis", "7.0.15", True),  # a line that got no fix
        ("Redis", "7.2.10", True),
        ("Redis", "7.2.11", False),
        ("Redis", "8.2.1", True),
        ("Redis", "8.2.2", False),
        ("Redis", "8.4.0", False),
        ("Redis", "8.10.2", False),
        ("Valkey", "7.2.10", True),
        ("Valkey", "8.1.4", False),
        ("Valkey", "9.0.0", False),
    ],
)
def test_a_version_has_a_flaw_until_the_first_fixed_release_of_its_line(name: str, version: str, has: bool) -> None:
    assert ("CVE-2025-49844" in ids(name, version)) is has


def test_a_flaw_that_came_with_a_release_is_not_in_older_ones() -> None:
    assert "CVE-2026-23479" not in ids("Redis", "7.0.15")
    assert "CVE-2025-62507" not in ids("Redis", "7.4.0")
    assert {"CVE-2026-23479", "CVE-2025-62507"} <= ids("Redis", "8.2.2")


def test_a_flaw_of_one_server_is_not_the_others() -> None:
    assert "CVE-2026-56684" in ids("Valkey", "9.1.0")
    assert "CVE-2026-56684" not in ids("Redis", "8.2.0")


@pytest.mark.parametrize(
    ("name", "version", "next_one"),
    [
        ("Redis", "6.2.6", "6.2.23"),
        ("Redis", "7.0.15", "7.2.15"),
        ("Redis", "7.2.4", "7.2.15"),
        ("Redis", "8.0.2", "8.2.8"),
        ("Valkey", "8.1.1", "8.1.9"),
        ("Valkey", "9.1.0", "9.1.1"),
    ],
)
def test_the_remedy_is_the_nearest_release_without_any(name: str, version: str, next_one: str) -> None:
    assert remedy(Server(name, version)) == next_one
    assert flaws_of(Server(name, next_one)) == []


@pytest.mark.parametrize("version", ["", "unstable", "255.255.255", "10.0.0-rc1"])
@pytest.mark.parametrize("name", ["Redis", "Valkey"])
def test_an_unknown_or_later_version_has_none(name: str, version: str) -> None:
    assert flaws_of(Server(name, version)) == []


def test_versions_are_compared_as_numbers() -> None:
    assert parsed("7.2.10") > parsed("7.2.9")
    assert parsed("8.0.0-rc1") == (8, 0, 0)
    assert parsed("7.4") == (7, 4)


def test_a_valkey_is_not_taken_for_the_redis_that_it_is_like() -> None:
    assert server_in({"redis_version": "7.2.4", "valkey_version": "8.1.3"}) == Server("Valkey", "8.1.3")
    assert server_in({"redis_version": "7.2.4"}) == Server("Redis", "7.2.4")
    assert server_in({}) is None


def test_the_table_is_dated_and_has_one_release_a_line() -> None:
    assert len(AS_OF) == len("2026-09")
    assert len({flaw.id for flaw in FLAWS}) == len(FLAWS)
    for flaw in FLAWS:
        for fixes in (flaw.redis, flaw.valkey):
            lines = [parsed(text)[:2] for text in fixes]
            assert lines == sorted(set(lines)), flaw.id
        assert flaw.redis or flaw.valkey
