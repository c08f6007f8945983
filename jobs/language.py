"""Run the pipeline up to the stage language: spark-submit jobs/language.py --config build.toml."""

from stackcurate.cli import main

main("language")
