"""Run the pipeline up to the stage signals: spark-submit jobs/signals.py --config build.toml."""

from stackcurate.cli import main

main("signals")
