"""Asks a silent server whether it would rather speak without TLS.

Redis without TLS takes a TLS greeting for the beginning of a command and waits for its end, so the handshake never fails:
it just takes for ever. A PING in plain text, which gives nothing away, tells this from a server that is not there.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

_PATIENCE_S: Final = 1.0
_DEFAULT_PORT: Final = 6379


async def answers_without_tls(url: str) -> bool:
    """Whether the server of this rediss:// URL answers a plain PING as Redis does. False for any other URL."""
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return False
    try:
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection(parts.hostname or "localhost", parts.port or _DEFAULT_PORT)
            try:
                writer.write(b"PING\r\n")
                return await reader.read(1) in (b"+", b"-")  # PONG, or NOAUTH
            finally:
                writer.close()
    except OSError:
        return False
