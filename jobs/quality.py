"""Run the pipeline up to the stage quality: spark-submit jobs/quality.py --config build.toml."""

from stackcurate.cli import main

main("quality")
