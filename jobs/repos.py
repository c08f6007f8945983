"""Pull repository metadata: spark-submit jobs/repos.py --source gharchive:s3://bucket/hours --config build.toml."""

from stackcurate.cli import main

main("repos")
