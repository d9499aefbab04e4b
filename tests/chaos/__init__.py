"""Chaos: real processes under load while everything that can die does, and an account of it at the end. See __main__.py."""
