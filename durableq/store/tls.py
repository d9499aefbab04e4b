"""TLS options of a Redis URL, `rediss://host?ssl_cert_reqs=none`: spelled as other clients have them, checked when it is read.

They are taken off the URL and given to redis-py as values: it knows one spelling of each and others by another name from
release to release, and before 6.0 it did not compare the host with the certificate unless told to.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from durableq.words.errors import ConfigError

_TRUE: Final = ("true", "yes", "on", "1")
_FALSE: Final = ("false", "no", "off", "0")
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def split_tls(query: str, *, secure: bool) -> tuple[str, dict[str, Any]]:
    """The query without TLS options, and these as redis-py takes them. `secure`: the scheme is one of TLS.

    Raises:
        ConfigError: An option is unknown, breaks its rule, names a file that does not serve, or the scheme is not of TLS.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    given = {name: value for name, value in pairs if name.startswith("ssl_")}
    if given and not secure:
        raise ConfigError(f"redis_url: {next(iter(given))} is an option of TLS: write rediss:// or leave it out")
    options = {name: _known(name)(name, value) for name, value in given.items()}
    if secure:
        _complete(options)
    if not given:
        return query, options
    return urlencode([(name, value) for name, value in pairs if name not in given]), options


def _complete(options: dict[str, Any]) -> None:
    verifies = options.setdefault("ssl_cert_reqs", "required") != "none"
    if options.get("ssl_check_hostname") and not verifies:
        raise ConfigError(
            "redis_url: ssl_check_hostname compares a certificate that ssl_cert_reqs=none does not look at"
        )
    options.setdefault("ssl_check_hostname", verifies)
    _try_files(options)
    if "ssl_certfile" in options:
        options.setdefault("ssl_keyfile", options["ssl_certfile"])  # redis-py 5 leaves out a certificate without it


def _known(name: str) -> Callable[[str, str], Any]:
    if name not in _OPTIONS:
        raise ConfigError(f"redis_url: {name} is not known; there are {', '.join(_OPTIONS)}")
    return _OPTIONS[name]


def _requirement(name: str, value: str) -> str:
    # none, CERT_NONE (as Celery has it), ssl.CERT_NONE
    plain = value.lower().removeprefix("ssl.").removeprefix("cert_")
    if plain not in ("none", "optional", "required"):
        raise ConfigError(
            f"redis_url: {name} must be required, optional or none (or CERT_REQUIRED, CERT_OPTIONAL, CERT_NONE), "
            f"not {value!r}"
        )
    return plain


def _switch(name: str, value: str) -> bool:
    if value.lower() not in (*_TRUE, *_FALSE):
        raise ConfigError(f"redis_url: {name} must be true or false, not {value!r}")
    return value.lower() in _TRUE


def _version(name: str, value: str) -> ssl.TLSVersion:
    number = value.lower().removeprefix("tlsv").replace("_", ".")
    if number not in _VERSIONS:
        raise ConfigError(f"redis_url: {name} must be TLSv1.2 or TLSv1.3, not {value!r}")
    return _VERSIONS[number]


def _text(name: str, value: str) -> str:
    if not value:
        raise ConfigError(f"redis_url: {name} is empty: leave it out, or give it a value")
    return value


_OPTIONS: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "ssl_cert_reqs": _requirement,
    "ssl_ca_certs": _text,
    "ssl_ca_data": _text,
    "ssl_certfile": _text,
    "ssl_keyfile": _text,
    "ssl_check_hostname": _switch,
    "ssl_min_version": _version,
    "ssl_ciphers": _text,
}


def _no_passphrase() -> str:
    # Without it OpenSSL would ask for one on the terminal.
    raise ConfigError("redis_url: the key of ssl_certfile has a passphrase: give one without")


def _try_files(options: Mapping[str, Any]) -> None:
    """Read what is named now: at the connection it would look like a server that is away, and be waited for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    certificate, key = options.get("ssl_certfile"), options.get("ssl_keyfile")
    if key and not certificate:
        raise ConfigError("redis_url: ssl_keyfile needs the certificate that it belongs to: add ssl_certfile")
    trials: dict[str, Callable[[Any], object]] = {
        "ssl_ca_certs": lambda path: context.load_verify_locations(cafile=path),
        "ssl_ca_data": lambda text: context.load_verify_locations(cadata=text),
        "ssl_certfile": lambda path: context.load_cert_chain(path, key, _no_passphrase),
        "ssl_ciphers": context.set_ciphers,
    }
    for name, trial in trials.items():
        value = options.get(name)
        if value is None:
            continue
        shown = "" if name == "ssl_ca_data" else f" {value!r}"
        if name == "ssl_certfile" and key:
            shown += f" with ssl_keyfile {key!r}"
        try:
            trial(value)
        except ssl.SSLError as error:
            why = getattr(error, "reason", None) or error
            raise ConfigError(f"redis_url: {name}{shown} does not serve: {why}") from None
        except OSError as error:
            raise ConfigError(f"redis_url: {name}{shown} cannot be read: {error.strerror or error}") from None
