"""Fixtures of all tests: one Spark session that starts on first use, and workspaces of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stackcurate.session import SparkConfig, spark_session
from stackcurate.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The session of all tests that need one; those of kernels never start a JVM."""
    session = spark_session(SparkConfig(master="local[2,4]", driver_memory="768m", partitions=4))
    # For a few rows, compiling and re-planning each query costs more than running it.
    session.conf.set("spark.sql.adaptive.enabled", "false")
    session.conf.set("spark.sql.codegen.wholeStage", "false")
    yield session
    session.stop()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A fresh workspace."""
    return open_workspace(tmp_path / "workspace")
