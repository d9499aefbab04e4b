"""Where things are: the Redis and the namespace, from what was given and from the environment.

Precedence: what a command line or a constructor was given, then the variables below in their order, then the default. The
environment is a mapping that is passed in, at first use and never at import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from durableq.words.ids import check_id

URL_VARIABLES: Final = ("DURABLEQ_URL", "REDIS_TLS_URL", "REDIS_URL", "VALKEY_URL")
NAMESPACE_VARIABLE: Final = "DURABLEQ_NAMESPACE"
RELEASE_VARIABLES: Final = (
    "DURABLEQ_RELEASE",
    "HEROKU_RELEASE_VERSION",
    "RENDER_GIT_COMMIT",
    "FLY_IMAGE_REF",
    "RAILWAY_DEPLOYMENT_ID",
)
WORKER_NAME_VARIABLES: Final = ("DYNO", "RENDER_INSTANCE_ID", "FLY_MACHINE_ID", "HOSTNAME")
DEFAULT_URL: Final = "redis://localhost:6379/0"
_HEROKU_VARIABLE: Final = "DYNO"
_HEROKU_HOST: Final = re.compile(r".+\.compute(-\d+)?\.amazonaws\.com")


class Resolved(NamedTuple):
    """A Redis URL and a namespace, decided."""

    redis_url: str
    namespace: str
    unverified: bool = False
    """Whether the URL was changed so that the server's certificate is not verified."""


class Place(NamedTuple):
    """What was given; None leaves it to the environment."""

    redis_url: str | None = None
    namespace: str | None = None

    def resolved(self, environment: Mapping[str, str]) -> Resolved:
        """Decide. Raises ConfigError for a namespace that breaks a rule."""
        given = self.redis_url or first_of(environment, URL_VARIABLES) or DEFAULT_URL
        url = accepting_herokus(given, environment)
        namespace = self.namespace or environment.get(NAMESPACE_VARIABLE) or "default"
        return Resolved(url, check_id("namespace", namespace), url != given)


def accepting_herokus(url: str, environment: Mapping[str, str]) -> str:
    """The URL with `ssl_cert_reqs=none` on a dyno of Heroku, whose Redis has a certificate that nobody has signed.

    Nowhere else, and not where the URL says itself how to verify: a certificate is not to be ignored by accident.
    """
    if not environment.get(_HEROKU_VARIABLE):
        return url
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return url  # refused when it is checked
    if parts.scheme not in ("rediss", "valkeys") or not _HEROKU_HOST.fullmatch(host) or "ssl_" in parts.query:
        return url
    return f"{url}{'&' if parts.query else '?'}ssl_cert_reqs=none"


def first_of(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The first of these variables that is set and not empty, or ""."""
    return next((environment[name] for name in names if environment.get(name)), "")
