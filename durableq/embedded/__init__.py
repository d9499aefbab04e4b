"""The embedded server: a real Redis or Valkey for `durableq dev`, with nothing to start or configure by hand."""

from durableq.embedded.binary import find_binary
from durableq.embedded.errors import EmbeddedServerError
from durableq.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer", "EmbeddedServerError", "find_binary"]
