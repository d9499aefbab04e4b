"""Which URLs are understood; every refusal names the rule, and no message shows a password."""

from __future__ import annotations

import pytest

from durableq.store.address import check_url, connector, hide_password
from durableq.words.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "understood"),
    [
        ("redis://localhost", "redis://localhost"),
        ("redis://user:pw@host:6380/3", "redis://user:pw@host:6380/3"),
        ("rediss://host?ssl_cert_reqs=none", "rediss://host?ssl_cert_reqs=none"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("redis://host?protocol=2", "redis://host?protocol=2"),
        ("redis://my_redis-1:6379", "redis://my_redis-1:6379"),
        ("redis://host.example.", "redis://host.example."),
        ("redis://[fe80::1%25eth0]", "redis://[fe80::1%25eth0]"),
        ("valkey://host", "redis://host"),
        ("valkeys://host:6379", "rediss://host:6379"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_one_server_by_any_of_its_names(url: str, understood: str) -> None:
    assert check_url(url) == understood


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        (None, "must be a string, not NoneType"),
        (b"redis://host", "must be a string, not bytes"),
        ("", "must begin with redis://"),
        ("localhost:6379", "must begin with redis://"),
        ("http://host", "must begin with redis://"),
        ("redis://", "names no host"),
        ("redis://:6379", "names no host"),
        ("unix://", "names no socket"),
        ("redis://host:0", "port must be 1 to 65535"),
        ("redis:host", "must begin with redis://"),
        ("unix:/run/redis.sock", "must begin with redis://"),
        ("redis://:pass/word@host", "Write '/', '?', '#', '@' and '[' in a password as %2F"),
        ("redis://host:99999", "not a URL"),
        ("redis://host:port", "not a URL"),
        ("redis://[::1", "not a URL"),
        ("redis://host/zero", "database after the host must be a number"),
        ("redis+cluster://host", "redis+cluster:// is not supported yet"),
        ("rediss+cluster://host", "is not supported yet"),
        ("redis+sentinel://host/mymaster", "is not supported yet"),
        ("rediss+sentinel://host/mymaster", "is not supported yet"),
        ("redis://my..host:6379", "'my..host' is no host name"),
        (f"rediss://{'a' * 64}.example", "1 to 63 characters"),
        ("redis://host?protocol=3", "protocol must be 2 (RESP2), not '3'"),
        ("redis://host?durability=fsync", "durability= is not supported yet"),
        ("redis://host?durability=", "durability= is not supported yet"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_rule(url: object, rule: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_url(url)
    assert rule in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://user:hunter2@host",
        "redis+cluster://:hunter2@host",
        "redis://user:hunter2@",
        "redis://:hunter2@host:0",
        "redis://:hunter2@host:port",
        "redis://:hunter2@host/zero",
        "redis://:hunter2@[host",
        "unix://user:hunter2@",
        "redis://host/zero?password=hunter2",
        "redis://:hunter2@host?socket_timeout=soon",
        "redis://:hunter2@host?no_such_option=1",
        "redis://:hunter2@host?ssl_cert_reqs=none",
        "redis://:hun/ter2@host",
        "redis://:hun?ter2@host",
        "redis://:hun#ter2@host:x",
        "redis://:hun@ter2@host:x",
        "user:hunter2@host",
    ],
)
def test_no_message_shows_the_password(url: str) -> None:
    shown = [hide_password(url)]
    try:
        connector(url, "test")
    except ConfigError as refused:
        shown.append(str(refused))
    assert "ter2" not in " ".join(shown)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/1", "redis://host:6379/1"),
        ("redis://user:secret@host:6379/1", "redis://user:***@host:6379/1"),
        ("redis://:secret@host", "redis://:***@host"),
        ("redis://:se@cret@host", "redis://:***@host"),
        ("unix:///run/redis.sock?password=secret&db=1", "unix:///run/redis.sock?password=***&db=1"),
    ],
)
def test_the_rest_of_the_url_is_shown(url: str, shown: str) -> None:
    assert hide_password(url) == shown


async def test_an_option_that_the_client_does_not_know_is_refused_when_the_url_is_read() -> None:
    with pytest.raises(ConfigError, match="no_such_option"):
        connector("redis://host?no_such_option=1", "test")
    with pytest.raises(ConfigError, match="socket_timeout"):
        connector("redis://host?socket_timeout=soon", "test")
