"""Benchmarks beside the peers: `make bench subject=build` prints JSON lines."""
