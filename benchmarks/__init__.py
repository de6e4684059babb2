"""Measures supervise beside its peers: `python -m benchmarks`, as root; see docs/benchmarks.md."""
