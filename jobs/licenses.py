"""Run the pipeline up to the stage licenses: spark-submit jobs/licenses.py --config build.toml."""

from stackcurate.cli import main

main("licenses")
