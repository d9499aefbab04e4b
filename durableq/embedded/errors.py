"""The one error of the embedded server."""

from __future__ import annotations

from durableq.words.errors import DurableqError


class EmbeddedServerError(DurableqError):
    """No server can be started or reached in the data directory. The message says why and what to do."""
