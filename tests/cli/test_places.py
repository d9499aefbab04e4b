"""Where a command looks for Redis: flag, variables, what `durableq dev` has written, the default."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from durableq.cli.places import URL_FILE, dev_runs, find, note_dev, read_dev_url, remove_dev_url, write_dev_url
from durableq.words.errors import ConfigError

DEV = "unix:///here/.durableq/redis.sock"


def test_without_anything_it_is_the_local_redis() -> None:
    found = find(None, None, or_dev=True)
    assert (found.redis_url, found.namespace, found.origin) == ("redis://localhost:6379/0", "default", "the default")


def test_what_dev_has_written_comes_before_the_default() -> None:
    write_dev_url(DEV)
    assert find(None, None, or_dev=True).redis_url == DEV


def test_a_worker_does_not_look_at_it() -> None:
    write_dev_url(DEV)
    assert find(None, None).redis_url == "redis://localhost:6379/0"


@pytest.mark.parametrize("variable", ["DURABLEQ_URL", "REDIS_TLS_URL", "REDIS_URL", "VALKEY_URL"])
def test_a_variable_comes_before_what_dev_has_written(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dev_url(DEV)
    monkeypatch.setenv(variable, "redis://production:6379")
    found = find(None, None, or_dev=True)
    assert (found.redis_url, found.origin) == ("redis://production:6379", variable)


def test_a_flag_comes_before_all(monkeypatch: pytest.MonkeyPatch) -> None:
    write_dev_url(DEV)
    monkeypatch.setenv("DURABLEQ_URL", "redis://production:6379")
    found = find("redis://given:6379", "acme", or_dev=True)
    assert (found.redis_url, found.namespace, found.origin) == ("redis://given:6379", "acme", "--redis-url")


@pytest.mark.parametrize(("flag", "url", "namespace"), [("--redis-url", " ", None), ("--namespace", None, "")])
def test_an_empty_flag_is_refused(flag: str, url: str | None, namespace: str | None) -> None:
    with pytest.raises(ConfigError, match=f"{flag} is empty"):
        find(url, namespace)


def test_a_wrong_url_is_refused_with_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "http://user:secret@host")
    with pytest.raises(ConfigError, match=r"must begin with redis://.*\(from REDIS_URL\)") as refused:
        find(None, None)
    assert "secret" not in str(refused.value)


def test_where_it_is_is_told_without_the_password() -> None:
    assert find("redis://:secret@host", None).told() == "redis://:***@host, from --redis-url"
    write_dev_url(DEV)
    assert "start `durableq dev` again" in find(None, None, or_dev=True).told()


def test_the_file_is_for_this_user_only() -> None:
    write_dev_url(DEV)
    assert stat.S_IMODE(URL_FILE.stat().st_mode) == 0o600
    assert (URL_FILE.parent / ".gitignore").read_text() == "*\n"


def test_the_file_of_another_dev_is_left_alone() -> None:
    write_dev_url(DEV)
    remove_dev_url("unix:///another")
    assert read_dev_url() == DEV
    remove_dev_url(DEV)
    assert read_dev_url() is None
    remove_dev_url(DEV)


def test_a_file_that_cannot_be_read_is_an_error_that_says_so(elsewhere: Path) -> None:
    (elsewhere / URL_FILE).mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"\.durableq/url cannot be read: Is a directory"):
        find(None, None, or_dev=True)


def test_what_was_left_by_a_dev_that_is_no_more_is_not_believed() -> None:
    write_dev_url("redis://staging:6379")
    with pytest.raises(ConfigError, match=r"\.durableq/url was left by a `durableq dev` that runs no more"):
        find(None, None, or_dev=True)
    noted = note_dev()
    assert find(None, None, or_dev=True).redis_url == "redis://staging:6379"
    another = note_dev()
    os.close(noted)
    assert dev_runs()
    os.close(another)
    assert not dev_runs()
