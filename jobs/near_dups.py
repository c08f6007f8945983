"""Run the pipeline up to the stage near_dups: spark-submit jobs/near_dups.py --config build.toml."""

from stackcurate.cli import main

main("near-dups")
