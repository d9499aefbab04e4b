"""What scripts/bench is made of: a private server, real worker and scheduler processes, and one file per measurement.

docs/benchmarks.md says how each figure is measured and what it was last seen to be. When adding a measurement: write its
file with a `measure(setting)`, and name it in `MEASUREMENTS` of __main__.py.
"""
