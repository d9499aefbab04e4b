"""What Redis' refusals mean: every error code that a reply can carry, and the exception it becomes. The only place.

Codes are matched, never texts. Three kinds: codes of our own scripts, codes that say "not now" (the call is sent again by
the link), and the rest, which is a defect or a setting and is raised as it is.

redis-py makes classes of some codes, and takes those codes off the text; the other codes are still in it. Before Redis 7
an error inside a script comes as a text of Redis' own, which has the code in its middle: there no class is made.
"""

from __future__ import annotations

import re
import ssl
from typing import Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    InvalidResponse,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from durableq.words.errors import DurableqError, QueueFull, RedisRefused, RedisUnavailable, StateLost


class StoreError(DurableqError):
    """A script answered with an error that no rule expects: a defect, or keys that somebody else has written."""


class LeaseLost(StoreError):
    """The lease has been closed or rescued: whatever its holder has in hand belongs to somebody else now."""


class CursorMoved(StoreError):
    """Somebody else has routed these events."""


class RegistryChanged(StoreError):
    """The functions have changed since these routing decisions were taken."""


class NamesChanged(StoreError):
    """Something waits for events of a name that these routing decisions do not know of."""


class DeliveriesBehind(StoreError):
    """So many routed events are still to be delivered to waits that routing has to pause."""


class PostMoved(StoreError):
    """Somebody else has delivered this event."""


class CronMoved(StoreError):
    """The cron trigger is not where the caller believed: another scheduler was first, or a deployment has changed it."""


class BellGone(StoreError):
    """A stream that was to be read is not there: the inbox of a lease that has ended, or somebody has deleted it."""


class Unavailable(RedisUnavailable):
    """The call was given up. `maybe_applied` says whether it had been sent, so that Redis may have executed it."""

    def __init__(self, reason: str, maybe_applied: bool) -> None:
        self.maybe_applied = maybe_applied
        super().__init__(reason)


_OURS: Final = {
    "LEASE_LOST": LeaseLost,
    "CURSOR_MOVED": CursorMoved,
    "REGISTRY_CHANGED": RegistryChanged,
    "NAMES_CHANGED": NamesChanged,
    "DELIVERIES_BEHIND": DeliveriesBehind,
    "POST_MOVED": PostMoved,
    "CRON_MOVED": CronMoved,
    "NOGROUP": BellGone,
}

NOT_NOW: Final = (ReadOnlyError, TryAgainError, MasterDownError, ClusterDownError, MovedError, AskError)
"""Replies after which the same call may succeed, on this connection or on the next."""

NOT_NOW_CODES: Final = frozenset(
    {
        "BUSY",
        "UNBLOCKED",
        "NOREPLICAS",
        "MISCONF",
        "LOADING",
        "READONLY",
        "TRYAGAIN",
        "MASTERDOWN",
        "CLUSTERDOWN",
    }
)
"""The same, where redis-py has no class for them or has not seen the code."""

_INSIDE_SCRIPT: Final = re.compile(r"(?:ERR )?Error running script .*?: -([A-Z]+) ")

_WRONG_NAME: Final = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""

QUEUE_FULL_RETRY_AFTER_S: Final = 5.0


def code_of(error: ResponseError) -> str:
    """The code of a reply, as far as redis-py has left it there."""
    inside = _INSIDE_SCRIPT.match(str(error))
    return inside[1] if inside else str(error).partition(" ")[0]


def not_now(error: Exception) -> bool:
    """Whether to send the same call again: loading, failing over, no writes for now, or a script that runs too long."""
    return isinstance(error, NOT_NOW) or (isinstance(error, ResponseError) and code_of(error) in NOT_NOW_CODES)


def from_replica(error: Exception) -> bool:
    """Whether a replica says this, so that the address may lead to another server by now."""
    return isinstance(error, ReadOnlyError) or (isinstance(error, ResponseError) and code_of(error) == "READONLY")


def garbled(error: Exception) -> bool:
    """Whether the server could not make out where a request began or ended: it closes the connection behind this."""
    return isinstance(error, ResponseError) and str(error).removeprefix("ERR ").startswith("Protocol error")


def refusal(error: BaseException) -> RedisRefused | None:
    """The error of a connection attempt as something that waiting does not mend, or None."""
    if isinstance(error, (AuthenticationError, AuthorizationError, NoPermissionError)):
        return RedisRefused(f"Redis refused our credentials ({error}). Correct the user and password in the URL.")
    if isinstance(error, InvalidResponse):
        return RedisRefused(
            "what answers at this address does not speak Redis' protocol. Correct host and port; "
            "if the server speaks TLS, write rediss:// instead of redis://"
        )
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return RedisRefused(
                f"the server's certificate cannot be verified ({cause.verify_message}). {_remedy(cause)}"
            )
        if isinstance(cause, ssl.SSLError):
            reason = getattr(cause, "reason", None) or str(cause)
            if "CERTIFICATE_REQUIRED" in reason:
                return RedisRefused(
                    "the server asks for a certificate of ours: add ?ssl_certfile=/path/to/cert.pem"
                    "&ssl_keyfile=/path/to/key.pem to the URL"
                )
            return RedisRefused(
                f"TLS failed ({reason}). If the server does not speak TLS, write redis:// instead of rediss://"
            )
        cause = cause.__cause__ or cause.__context__
    return None


def _remedy(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _WRONG_NAME:
        return (
            "Write the host that it was made for, or add ?ssl_check_hostname=false to the URL if any certificate of "
            "that authority will do"
        )
    return (
        "Name the authority that signed it with ?ssl_ca_certs=/path/to/ca.pem in the URL, or add ?ssl_cert_reqs=none if "
        "you accept a self-signed certificate"
    )


def greeting_refusal(error: BaseException) -> RedisRefused | None:
    """The same for what a connection is greeted with: AUTH, SELECT and PING get errors that a URL is to blame for."""
    refused = refusal(error)
    if refused is None and isinstance(error, ResponseError) and not not_now(error):
        return RedisRefused(
            f"Redis refused the connection ({error}). Correct the URL: user and password stand before the host, "
            "the number of the database behind it"
        )
    return refused


def meaning(error: Exception, script: str = "") -> Exception:
    """The exception that a reply becomes."""
    refused = refusal(error)
    if refused is not None:
        return refused
    if not isinstance(error, ResponseError):
        return error
    code = code_of(error)
    if isinstance(error, OutOfMemoryError) or code == "OOM":
        return QueueFull(QUEUE_FULL_RETRY_AFTER_S)
    if code in _OURS:
        return _OURS[code](str(error))
    if code == "QUEUE_FULL":
        return QueueFull(QUEUE_FULL_RETRY_AFTER_S)
    if code == "STATE_LOST":
        known = str(error).partition(" ")[2]
        return StateLost(
            "the namespace in Redis is not the one this process knew "
            + ("(it holds none now: flushed, or an empty server)" if known == "none" else f"(it is {known} now)")
            + ": nothing more is written. Look at Redis; when the loss is accepted, restart this process."
        )
    return StoreError(f"{script or 'Redis'}: {error}")
