"""Real processes: workers, schedulers and servers are started, killed, frozen and cut off. See harness.py."""
