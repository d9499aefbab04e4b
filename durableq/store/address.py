"""Redis URLs: which are understood, and how a connection to one is made."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from durableq.store.tls import split_tls
from durableq.store.wire import Connection
from durableq.words.errors import ConfigError

_SCHEMES: Final = {"redis": "redis", "rediss": "rediss", "unix": "unix", "valkey": "redis", "valkeys": "rediss"}
_LATER: Final = ("redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
_CONNECT_TIMEOUT_S: Final = 3.0


def check_url(url: object) -> str:
    """A URL that redis-py understands, or a ConfigError that names the rule. The password is never shown."""
    if not isinstance(url, str):
        raise ConfigError(f"redis_url must be a string, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        port_is_a_number = parts.port is None or parts.port > 0
    except ValueError:
        # What Python says of it may quote a piece of the password.
        raise ConfigError(
            f"redis_url {hide_password(url)!r} is not a URL: host and port do not end where they should. "
            "Write '/', '?', '#', '@' and '[' in a password as %2F, %3F, %23, %40 and %5B"
        ) from None
    if parts.scheme in _LATER:
        raise ConfigError(
            f"redis_url {hide_password(url)!r}: {parts.scheme}:// is not supported yet; use one server (redis://, rediss:// or unix://)"
        )
    if parts.scheme not in _SCHEMES or "://" not in url:
        raise ConfigError(
            f"redis_url {hide_password(url)!r} must begin with redis://, rediss://, unix://, valkey:// or valkeys://"
        )
    scheme = _SCHEMES[parts.scheme]
    if not port_is_a_number:
        raise ConfigError(f"redis_url {hide_password(url)!r}: the port must be 1 to 65535")
    if scheme == "unix":
        if not parts.path:
            raise ConfigError(f"redis_url {hide_password(url)!r} names no socket: write unix:///path/to/redis.sock")
    else:
        if not parts.hostname:
            raise ConfigError(f"redis_url {hide_password(url)!r} names no host")
        try:
            parts.hostname.encode("idna")  # as it is looked up: later this would be no error of a connection
        except UnicodeError:
            raise ConfigError(
                f"redis_url {hide_password(url)!r}: {parts.hostname!r} is no host name: each part between dots must have "
                "1 to 63 characters"
            ) from None
        database = parts.path.strip("/")
        if database and not database.isdecimal():
            raise ConfigError(
                f"redis_url {hide_password(url)!r}: the database after the host must be a number, not {database!r}"
            )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if options.get("protocol", "2") != "2":
        raise ConfigError(f"redis_url: protocol must be 2 (RESP2), not {options['protocol']!r}: leave it out")
    if "durability" in options:
        raise ConfigError("durability= is not supported yet: what Redis keeps is set by its own persistence")
    split_tls(parts.query, secure=scheme == "rediss")
    return f"{scheme}://{url.partition('://')[2]}"


def hide_password(url: str) -> str:
    """The URL as it may be shown and logged, also when it is not quite a URL: up to the last @ it may be all password."""
    scheme = url[: url.find("://") + 3] if "://" in url else ""
    credentials, at, place = url[len(scheme) :].rpartition("@")
    user, colon, _ = credentials.partition(":")
    hidden = ":***" if colon else ""
    return scheme + user + hidden + at + re.sub(r"(?i)\b(password=)[^&#]*", r"\1***", place)


def connector(url: str, role: str) -> Callable[[], Connection]:
    """What makes unconnected redis-py connections to this URL. `role` names them in CLIENT LIST."""
    checked = check_url(url)
    parts = urlsplit(checked)
    query, tls = split_tls(parts.query, secure=parts.scheme == "rediss")
    address = checked.partition("?")[0] + (f"?{query}" if query else "")
    try:
        pool: Any = ConnectionPool.from_url(address, **_options(role), **tls)
        pool.make_connection()
    except (ValueError, TypeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"redis_url {hide_password(url)!r}: {error}") from None

    def connect() -> Connection:
        connection: Connection = pool.make_connection()
        return connection

    return connect


def _options(role: str) -> dict[str, Any]:
    return {
        # RESP2: redis-py 8.1 breaks idle connections under RESP3, and fakeredis shapes some replies differently.
        "protocol": 2,
        "decode_responses": False,
        # The link has its own clock for replies; a second one here would cut blocking reads.
        "socket_timeout": None,
        "socket_connect_timeout": _CONNECT_TIMEOUT_S,
        "health_check_interval": 0,
        # Re-sending is the link's business: it knows what is safe.
        "retry": Retry(NoBackoff(), 0),
        "client_name": f"durableq:{role}",
    }
