"""Run the pipeline up to the stage license_scan: spark-submit jobs/license_scan.py --config build.toml."""

from stackcurate.cli import main

main("license-scan")
