"""Layer 4: the loops that run inside a worker or a scheduler."""
