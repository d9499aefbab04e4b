"""Layer 1: pure data and decisions. Nothing here knows Redis, sockets or event loops."""
