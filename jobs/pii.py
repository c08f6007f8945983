"""Run the pipeline up to the stage pii: spark-submit jobs/pii.py --config build.toml."""

from stackcurate.cli import main

main("pii")
