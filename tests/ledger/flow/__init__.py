"""The ledger of flow control: what limiters promise, held against what functions wrote. See __main__.py."""
