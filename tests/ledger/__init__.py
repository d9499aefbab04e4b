"""Ten thousand runs that wait, and an account of how each of them ended. See __main__.py."""
