"""Build a release: spark-submit jobs/build.py --config build.toml."""

from stackcurate.cli import main

main("build")
