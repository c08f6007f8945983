"""The container image, built and run without an engine: `buildah --isolation chroot` on a debootstrapped Debian.

The base image carries what this machine needs to reach a package index; the Dockerfile knows nothing of it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import ended, standalone_cluster
from tests.corpus import write_corpus

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
DEBIAN, IMAGE, TRAINING = "localhost/debian:bookworm", "localhost/stackcurate:test", "localhost/stackcurate-train:test"
ENTRY = ["tini", "-s", "--", "entrypoint"]
NEEDED = 45e9
"""Bytes of disk: buildah without overlays keeps several copies of torch with its CUDA libraries."""
CERTIFICATES = "/usr/local/share/ca-certificates/machine.crt"
INDEX = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX")


@dataclass(frozen=True)
class Engine:
    """Buildah with a storage of its own."""

    storage: Path

    def command(self, *arguments: str | Path) -> list[str]:
        places = ["--root", str(self.storage / "images"), "--runroot", str(self.storage / "run")]
        return ["buildah", "--storage-driver", "vfs", *places, *map(str, arguments)]

    def __call__(self, *arguments: str | Path) -> str:
        """Run a command of buildah and return what it prints."""
        command = self.command(*arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()


@dataclass(frozen=True)
class Container:
    """A container of the image, with a folder of this machine as its `/work`."""

    engine: Engine
    name: str
    work: Path

    def command(self, *arguments: str, env: Sequence[str] = ()) -> list[str]:
        # the name that buildah gives the machine is in no /etc/hosts under chroot
        variables = [f"--env={one}" for one in ("SPARK_LOCAL_IP=127.0.0.1", *env)]
        volume = f"--volume={self.work}:/work"
        return self.engine.command("run", "--isolation", "chroot", volume, *variables, self.name, "--", *arguments)

    def __call__(self, *arguments: str) -> str:
        """Run a command in the container and return what it prints."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False, timeout=1800)
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine that leaves nothing behind."""
    missing = [name for name in ("buildah", "debootstrap") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; Debian has packages of these names")
    if os.geteuid() != 0:
        pytest.skip("debootstrap and buildah --isolation chroot need root")
    with tempfile.TemporaryDirectory(prefix="stackcurate-image-") as folder:
        engine = Engine(Path(folder))
        yield engine
        engine("rm", "--all")
        engine("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def debian(engine: Engine) -> str:
    """Debian, and what this machine needs to reach a package index."""
    root = engine.storage / "debian"
    subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root], check=True, stdout=subprocess.DEVNULL)
    container = engine("from", "scratch")
    engine("copy", container, root, "/")
    shutil.rmtree(root)
    for variable in machine(engine, container):
        engine("config", f"--env={variable}", container)
    engine("commit", "--rm", container, DEBIAN)
    return DEBIAN


def build(engine: Engine, dockerfile: str, base: str, tag: str) -> str:
    """Build an image from this checkout and return its tag."""
    chosen = ["--file", ROOT / "docker" / dockerfile, "--build-arg", f"BASE_IMAGE={base}", "--tag", tag]
    engine("bud", "--isolation", "chroot", *chosen, ROOT)
    return tag


@pytest.fixture(scope="module")
def image(engine: Engine, debian: str) -> str:
    """The image of the product."""
    return build(engine, "Dockerfile", debian, IMAGE)


@pytest.fixture(scope="module")
def container(engine: Engine, image: str) -> Container:
    """A container whose `/work` is open to its user."""
    work = engine.storage / "work"
    work.mkdir()
    work.chmod(0o777)
    return Container(engine, engine("from", image), work)


def machine(engine: Engine, container: str) -> Iterator[str]:
    """Copy this machine's certificates into a container, and yield the variables by which pip and uv find an index."""
    bundle = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    if bundle:
        engine("copy", container, bundle, CERTIFICATES)
        yield from (f"{name}={CERTIFICATES}" for name in ("SSL_CERT_FILE", "PIP_CERT"))
    for name in INDEX:
        yield from (f"{known}={os.environ[known]}" for known in (name, name.lower()) if known in os.environ)
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    if asked.returncode == 0:
        yield from (f"{name}={asked.stdout.strip()}" for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"))


def test_training_image_carries_kernels_for_a_v100(engine: Engine, debian: str) -> None:
    """Torch with its CUDA libraries, as layers, container and image."""
    if (free := shutil.disk_usage(engine.storage).free) < NEEDED:
        pytest.skip(f"{free / 1e9:.0f} GB of disk are free, {NEEDED / 1e9:.0f} are needed")
    container = engine("from", build(engine, "train.Dockerfile", debian, TRAINING))
    run = engine.command("run", "--isolation", "chroot", container, "--")

    script = "import torch; print(torch.version.cuda, *torch._C._cuda_getArchFlags().split())"
    carried = subprocess.run([*run, "python", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    doctor = subprocess.run(
        [*run, "tini", "-g", "--", "stackcurate", "train", "doctor"], capture_output=True, text=True, check=False
    )

    assert "sm_70" in carried
    assert "torch" in doctor.stdout
    assert "java" not in doctor.stdout


def test_doctor_finds_all_that_is_needed(container: Container) -> None:
    found = container(*ENTRY, "doctor", "--run-local")

    assert "missing" not in found
    assert re.search(r"^ok +java +(17|21)", found, re.MULTILINE)
    assert "ran a job through a Python worker" in found
    assert container("id", "--user", "--name").strip() == "spark"


def test_environment_is_that_of_the_lock(container: Container) -> None:
    """All of it is in the lock, and what only developers need is not in it."""
    script = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    installed = {spelled(one) for one in container("python", "-c", script).split()}
    lock = (ROOT / "docker/requirements.lock").read_text()
    locked = {spelled(one) for one in re.findall(r"^[^\s;]+==[^\s;]+", lock, re.MULTILINE)}

    assert {one.split("==")[0] for one in installed - locked} == {"stackcurate"}
    assert not {"pytest", "ruff", "mypy", "pip"} & {one.split("==")[0] for one in installed}


def spelled(requirement: str) -> str:
    """Return `name==version` with the name as the lock spells it."""
    name, version = requirement.split("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def test_build_decides_as_is_known(container: Container) -> None:
    corpus = write_corpus(container.work / "inputs")
    settings = ('sources.inputs=["inputs"]', 'opt_outs.requests=["inputs/opt_outs.csv"]', 'spark.master="local[2,4]"')
    chosen = [part for one in (*settings, "spark.partitions=3") for part in ("--set", one)]

    container(*ENTRY, "build", *chosen)
    verified = container(*ENTRY, "verify", *chosen)

    manifest = json.loads((container.work / "workspace/releases/v1/manifest.json").read_text())
    assert manifest["files_read"] == len(corpus.answers)
    assert manifest["rows"] == sum(answer.kept for answer in corpus.answers.values())
    assert ", 0 problems" in verified


JOB = """
import pyarrow as pa
from stackcurate.session import spark_session

def who(batches):
    import os, sys
    import stackcurate
    row = f"{os.environ['SPARK_EXECUTOR_ID']} {os.getuid()} {sys.executable}"
    for batch in batches:
        yield pa.record_batch({"who": [row] * batch.num_rows})

spark = spark_session()
print(spark.conf.get("spark.driver.port"), spark.conf.get("spark.executor.extraJavaOptions"), flush=True)
rows = spark.range(8).mapInArrow(who, "who string").distinct().collect()
print(*(row.who for row in rows))
"""


def test_driver_and_executor_start_as_kubernetes_starts_them(container: Container, tmp_path: Path) -> None:
    """With the arguments and variables of Spark's pods, and a master without workers in the place of Kubernetes."""
    (container.work / "job.py").write_text(JOB)
    with (tmp_path / "log").open("w") as log, standalone_cluster(tmp_path / "cluster", workers=0) as cluster:
        arguments = ["driver", "--master", cluster.master, "--conf", "spark.driver.host=127.0.0.1", "/work/job.py"]
        driving = container.command(*ENTRY, *arguments, env=["SPARK_DRIVER_BIND_ADDRESS=127.0.0.1"])
        with ended(driving, stdout=subprocess.PIPE, stderr=log, text=True) as driver:
            assert driver.stdout is not None
            port, *options = driver.stdout.readline().split()
            executing = container.command(*ENTRY, "executor", env=executor_variables(port, options))
            with ended(executing, stdout=log, stderr=log) as executor:
                output, _ = driver.communicate(timeout=300)
                codes = driver.returncode, executor.wait(timeout=60)

    assert output.split() == ["7", "185", "/opt/stackcurate/bin/python"], (tmp_path / "log").read_text()[-3000:]
    assert codes == (0, 0)


def executor_variables(port: str, options: list[str]) -> list[str]:
    """Return the variables that Spark gives an executor's pod."""
    return [
        f"SPARK_DRIVER_URL=spark://CoarseGrainedScheduler@127.0.0.1:{port}",
        "SPARK_EXECUTOR_ID=7",
        "SPARK_EXECUTOR_CORES=1",
        "SPARK_EXECUTOR_MEMORY=512m",
        "SPARK_EXECUTOR_POD_IP=127.0.0.1",
        "SPARK_EXECUTOR_POD_NAME=pod",
        "SPARK_APPLICATION_ID=application",
        "SPARK_RESOURCE_PROFILE_ID=0",
        *(f"SPARK_JAVA_OPT_{number}={option}" for number, option in enumerate(options)),
    ]
