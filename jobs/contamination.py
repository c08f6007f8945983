"""Run the pipeline up to the stage contamination: spark-submit jobs/contamination.py --config build.toml."""

from stackcurate.cli import main

main("contamination")
