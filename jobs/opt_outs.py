"""Run the pipeline up to the stage opt_outs: spark-submit jobs/opt_outs.py --config build.toml."""

from stackcurate.cli import main

main("opt-outs")
