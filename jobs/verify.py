"""Verify a release: spark-submit jobs/verify.py --config build.toml."""

from stackcurate.cli import main

main("verify")
