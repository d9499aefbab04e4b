"""Asks a server that gives no answer whether TLS is the reason: it speaks it and was not spoken to in it, or the reverse.

Redis without TLS takes a TLS greeting for the beginning of a command and waits for its end, so the handshake never fails:
it just takes for ever. A PING in plain text, which gives nothing away, tells this from a server that is not there. Redis
with TLS breaks off a connection that begins in plain text; a handshake, verifying nothing, tells that from one that dies.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final
from urllib.parse import urlsplit

_PATIENCE_S: Final = 1.0
_DEFAULT_PORT: Final = 6379


async def wrong_about_tls(url: str) -> str:
    """What to write instead, if this URL asks for TLS of a server that has none, or the reverse; else ""."""
    parts = urlsplit(url)
    address = (parts.hostname or "localhost", parts.port or _DEFAULT_PORT)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            if parts.scheme in ("rediss", "valkeys") and await _answers_plain(*address):
                return "the server answers, but not to TLS: write redis:// instead of rediss://, or its TLS port"
            if parts.scheme in ("redis", "valkey") and await _shakes_hands(*address):
                return "the server speaks TLS: write rediss:// instead of redis://"
    except OSError:  # TimeoutError and SSLError are some
        return ""
    return ""


async def _answers_plain(host: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"PING\r\n")
        return await reader.read(1) in (b"+", b"-")  # PONG, or NOAUTH
    finally:
        writer.close()


async def _shakes_hands(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    writer.close()
    return True
