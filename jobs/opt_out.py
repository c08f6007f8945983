"""Make a release that honours more opt-outs: spark-submit jobs/opt_out.py requests.csv --to v2 --config build.toml."""

from stackcurate.cli import main

main("opt-out")
