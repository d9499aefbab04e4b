"""Where things are: precedence, and the one place where a certificate is not verified unasked."""

from __future__ import annotations

import pytest

from durableq.model.config import DEFAULT_URL, Place
from durableq.words.errors import ConfigError

HEROKU = "rediss://:pw@ec2-3-4-5-6.compute-1.amazonaws.com:6380"


def test_what_was_given_comes_before_the_variables_and_these_in_their_order() -> None:
    environment = {"VALKEY_URL": "redis://v", "REDIS_URL": "redis://r", "DURABLEQ_NAMESPACE": "acme"}
    assert Place().resolved({}) == (DEFAULT_URL, "default", False)
    assert Place().resolved(environment) == ("redis://r", "acme", False)
    environment["REDIS_TLS_URL"] = "rediss://t"
    assert Place().resolved(environment).redis_url == "rediss://t"
    environment["DURABLEQ_URL"] = "redis://d"
    assert Place().resolved(environment).redis_url == "redis://d"
    assert Place("redis://g", "other").resolved(environment) == ("redis://g", "other", False)


def test_a_wrong_namespace_is_refused_wherever_it_comes_from() -> None:
    with pytest.raises(ConfigError, match="namespace 'A B' is not allowed"):
        Place().resolved({"DURABLEQ_NAMESPACE": "A B"})


@pytest.mark.parametrize("url", [HEROKU, HEROKU.replace("compute-1", "compute"), HEROKU.replace("rediss", "valkeys")])
def test_on_heroku_the_self_signed_certificate_of_its_redis_is_accepted(url: str) -> None:
    assert Place().resolved({"DYNO": "worker.1", "REDIS_URL": url}) == (f"{url}?ssl_cert_reqs=none", "default", True)
    assert Place(f"{url}/0?db=1").resolved({"DYNO": "worker.1"}).redis_url == f"{url}/0?db=1&ssl_cert_reqs=none"


@pytest.mark.parametrize(
    "url",
    [
        "rediss://redis.example.com:6380",
        "rediss://compute-1.amazonaws.com.example.com",
        HEROKU.replace("rediss", "redis"),
        f"{HEROKU}?ssl_cert_reqs=required",
        f"{HEROKU}?ssl_ca_certs=/app/ca.pem",
        "rediss://[::1",
    ],
)
def test_anything_else_is_left_as_it_was_written(url: str) -> None:
    assert Place(url).resolved({"DYNO": "worker.1"}) == (url, "default", False)


def test_elsewhere_it_is_verified() -> None:
    assert Place(HEROKU).resolved({}) == (HEROKU, "default", False)
