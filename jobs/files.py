"""Read contents into the workspace: spark-submit jobs/files.py --source git --urls repositories.txt."""

from stackcurate.cli import main

main("files")
