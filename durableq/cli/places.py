"""Where a command looks for Redis, and how it says so when nothing answers there.

A flag comes first, then the variables, then what `durableq dev` has written to `.durableq/url` in this directory, then
the default. A worker and a scheduler do not read that file: a process that executes runs is told where, never guesses.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import click

from durableq.model.config import URL_VARIABLES, Place
from durableq.store.address import check_url, hide_password
from durableq.words.errors import ConfigError
from durableq.words.telemetry import Log

DEV_DIRECTORY: Final = Path(".durableq")
URL_FILE: Final = DEV_DIRECTORY / "url"
RUNNING_FILE: Final = DEV_DIRECTORY / "running"
"""Locked by every `durableq dev` for as long as it lives: kill -9 leaves the other file, and no lock."""


class Found(NamedTuple):
    """A Redis and a namespace, decided and checked."""

    redis_url: str
    namespace: str
    origin: str
    """What named the URL: a flag, a variable, a file or the default."""
    unverified: bool = False
    """Whether the server's certificate is not verified although the URL does not say so (on Heroku)."""

    def told(self) -> str:
        """Where that is, for an error that could not reach it. Never with the password."""
        remedy = "start `durableq dev` again, or name one with --redis-url" if self.origin == str(URL_FILE) else ""
        if self.origin == DEFAULT_ORIGIN:
            remedy = "name one with --redis-url or DURABLEQ_URL, or start `durableq dev` in this directory"
        return f"{hide_password(self.redis_url)}, from {self.origin}" + (f": {remedy}" if remedy else "")


DEFAULT_ORIGIN: Final = "the default"


def find(redis_url: str | None, namespace: str | None, *, or_dev: bool = False) -> Found:
    """Decide from flags and environment; `or_dev`: and from what `durableq dev` has written.

    Raises ConfigError for a URL or a namespace that breaks a rule.
    """
    for flag, value in (("--redis-url", redis_url), ("--namespace", namespace)):
        if value is not None and not value.strip():
            raise ConfigError(f"{flag} is empty: leave it out, or give it a value")
    variable = url_variable(os.environ)
    origin = "--redis-url" if redis_url else variable or DEFAULT_ORIGIN
    if or_dev and origin == DEFAULT_ORIGIN:
        redis_url = read_dev_url()
        origin = str(URL_FILE) if redis_url else DEFAULT_ORIGIN
    found = Place(redis_url, namespace).resolved(os.environ)
    try:
        check_url(found.redis_url)
    except ConfigError as error:
        raise ConfigError(f"{error} (from {origin})") from None
    return Found(found.redis_url, found.namespace, origin, found.unverified)


_UNVERIFIED: Final = (
    "Heroku's certificates are self-signed. Write ?ssl_cert_reqs=none or =required into the URL to decide it"
)


def warn_unverified(found: Found, log: Log) -> None:
    """Say in the log that a certificate is not verified, where the URL did not ask for that."""
    if found.unverified:
        log.warning("redis.unverified", url=hide_password(found.redis_url), hint=_UNVERIFIED)


def say_unverified(found: Found) -> None:
    """The same on stderr."""
    if found.unverified:
        click.echo(f"durableq: the certificate of Redis is not verified. {_UNVERIFIED}", err=True)


def url_variable(environment: Mapping[str, str]) -> str:
    """The variable that names the Redis, or ""."""
    return next((name for name in URL_VARIABLES if environment.get(name)), "")


def read_dev_url() -> str | None:
    """The URL that `durableq dev` has written in this directory, or None.

    Raises ConfigError for a file that cannot be read, and for one that was left by a `durableq dev` that is no more. Of
    those only a socket's is believed: that server outlives a kill -9, and nobody else's can be meant by it.
    """
    try:
        url = URL_FILE.read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{URL_FILE} cannot be read: {error.strerror}. Name a Redis with --redis-url") from None
    if url and not url.startswith("unix:") and not dev_runs():
        raise ConfigError(
            f"{URL_FILE} was left by a `durableq dev` that runs no more: start it again, remove that file, or name a Redis "
            "with --redis-url"
        )
    return url or None


def note_dev() -> int:
    """Note that a `durableq dev` lives here, for as long as the file descriptor that this returns is open."""
    DEV_DIRECTORY.mkdir(mode=0o700, exist_ok=True)
    noted = os.open(RUNNING_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(noted, fcntl.LOCK_SH)
    return noted


def dev_runs() -> bool:
    """Whether a `durableq dev` lives in this directory."""
    try:
        noted = os.open(RUNNING_FILE, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(noted, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(noted)
    return False


def write_dev_url(url: str) -> None:
    """Write it for the other commands, readable by this user only: it may hold a password."""
    DEV_DIRECTORY.mkdir(mode=0o700, exist_ok=True)
    (DEV_DIRECTORY / ".gitignore").write_text("*\n")
    new = URL_FILE.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(f"{url}\n")
    new.replace(URL_FILE)


def remove_dev_url(url: str) -> None:
    """Remove it, unless another `durableq dev` has written another one since."""
    try:
        written = URL_FILE.read_text().strip()
    except OSError:
        return
    if written == url:
        URL_FILE.unlink(missing_ok=True)
