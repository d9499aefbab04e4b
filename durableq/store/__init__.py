"""Layer 2: the only code that knows Redis."""
