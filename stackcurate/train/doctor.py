"""Doctor for training: does this torch have kernels for these GPUs, which one does, and what the GPUs support.

It asks the driver's own tool and torch's list of compiled architectures, so the answer comes before the first call of
CUDA, which would only say `no kernel image is available`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from stackcurate.errors import TrainError

Capability = tuple[int, int]


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `state` is `ok`, `note` or `missing`; `remedy` a command, where one is due."""

    name: str
    state: str
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver tells it: name, compute capability, version of the driver."""

    name: str
    capability: Capability
    driver: str = ""


@dataclass(frozen=True)
class TorchWheels:
    """The wheels of one minor version of torch.

    Args:
        version: minor version.
        default: CUDA build that a plain install takes.
        architectures: what the default build has kernels for, lowest first.
        volta: the index whose build has sm_70: `default`, `cu126` or none.
    """

    version: str
    default: str
    architectures: tuple[str, ...]
    volta: str = ""


_TO_90 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
_TO_120 = ("sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
_NO_VOLTA = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
TORCH_WHEELS = (
    TorchWheels("2.7", "cu126", _TO_90, "default"),
    TorchWheels("2.8", "cu128", _TO_120, "default"),
    TorchWheels("2.9", "cu128", _TO_120, "default"),
    TorchWheels("2.10", "cu128", _TO_120, "default"),
    TorchWheels("2.11", "cu130", _NO_VOLTA, "cu126"),
    TorchWheels("2.12", "cu130", _NO_VOLTA, "cu126"),
    TorchWheels("2.13", "cu130", _NO_VOLTA, "cu126"),
    TorchWheels("2.14", "cu130", _NO_VOLTA, "cu126"),
    TorchWheels("2.15", "cu132", _NO_VOLTA),
)
"""Source: strings of the wheels of 2.7.1, 2.10.0 and 2.11.0; for the others PyTorch's issues 157517 (sm_70 stays in
cu128), 172352 (cu126 for Volta) and 190385 (2.15 has no CUDA 12.6)."""
LAST_VOLTA = "2.14"
VOLTA_REMEDY = 'uv pip install "torch>=2.7,<2.15" --torch-backend=cu126'
UPGRADE_REMEDY = 'uv pip install --upgrade "torch>=2.7" --torch-backend=auto'
OLDEST = (2, 7)
"""FSDP2 and distributed checkpoints as the trainer uses them."""
LAST_VOLTA_DRIVER = 580
"""Source: NVIDIA, R580 is the last branch of drivers that supports Volta."""
FEATURES: tuple[tuple[str, Capability], ...] = (
    ("fp16 tensor cores", (7, 0)),
    ("memory-efficient attention", (5, 0)),
    ("torch.compile", (7, 0)),
    ("Triton's matrix products", (8, 0)),
    ("bf16", (8, 0)),
    ("TF32", (8, 0)),
    ("FlashAttention", (8, 0)),
    ("FP8", (8, 9)),
)
"""What needs which compute capability."""


def has_kernels(architectures: Sequence[str], capability: Capability) -> bool:
    """Say whether a build runs on a GPU: code of the same generation, or PTX to compile for it.

    Args:
        architectures: torch's list, such as `sm_70` and `compute_90`.
        capability: of the GPU.

    >>> has_kernels(["sm_75", "sm_80"], (7, 0)), has_kernels(["sm_80"], (8, 6)), has_kernels(["compute_60"], (7, 0))
    (False, True, True)
    """
    for architecture in architectures:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", architecture)
        if not match:
            continue
        built = int(match[2]), int(match[3])
        if match[4]:
            fits = built == capability
        elif match[1] == "compute":
            fits = built <= capability
        else:
            fits = built[0] == capability[0] and built <= capability
        if fits:
            return True
    return False


def supported(capability: Capability) -> dict[str, bool]:
    """Return for each feature whether a GPU of that capability has it."""
    return {name: capability >= least for name, least in FEATURES}


def find_wheels(torch_version: str) -> TorchWheels | None:
    """Return what is known of a version of torch, or None where nothing is."""
    minor = ".".join(torch_version.split("+", maxsplit=1)[0].split(".")[:2])
    return next((wheels for wheels in TORCH_WHEELS if wheels.version == minor), None)


def diagnose(torch_version: str, architectures: Sequence[str], gpus: Sequence[Gpu]) -> Iterator[Finding]:
    """Yield what is to be said of a build of torch and the GPUs that it meets.

    Args:
        torch_version: such as `2.11.0+cu130`.
        architectures: what it has kernels for; empty for a build without CUDA.
        gpus: what the driver found.
    """
    numbers = tuple(int(number) for number in re.findall(r"\d+", torch_version)[:2])
    if numbers < OLDEST:
        yield Finding("torch", "missing", f"{torch_version}, older than 2.7", UPGRADE_REMEDY)
        return
    built = " ".join(architectures) if architectures else "no CUDA"
    yield Finding("torch", "ok", f"{torch_version} ({built})")
    if not gpus:
        yield Finding("gpu", "note", "none found: training runs on the CPU, for tests")
    for gpu in dict.fromkeys(gpus):
        yield _kernels(torch_version, architectures, gpu)
        features = supported(gpu.capability)
        has = ", ".join(name for name, given in features.items() if given)
        lacks = ", ".join(name for name, given in features.items() if not given)
        yield Finding("features", "ok", f"{gpu.name}: {has}" + (f"; not {lacks}" if lacks else ""))
        if gpu.capability < (7, 5) and _major(gpu.driver) > LAST_VOLTA_DRIVER:
            yield Finding(
                "driver", "missing", f"{gpu.driver} has no support for {gpu.name}", "install a driver of branch R580"
            )


def _kernels(torch_version: str, architectures: Sequence[str], gpu: Gpu) -> Finding:
    name = "sm_{}{}".format(*gpu.capability)
    if has_kernels(architectures, gpu.capability):
        return Finding("kernels", "ok", f"{gpu.name}: {name} is in this torch")
    why = f"{gpu.name} needs {name}, which torch {torch_version} was built without"
    if gpu.capability != (7, 0):
        return Finding("kernels", "missing", why, UPGRADE_REMEDY)
    wheels = find_wheels(torch_version)
    if not architectures:
        where = f"any from 2.7 to {LAST_VOLTA} of the cu126 index has it"
    elif wheels is not None and wheels.volta == "cu126":
        where = f"{wheels.version} of the cu126 index has it"
    else:
        where = f"{LAST_VOLTA} of the cu126 index is the last that has it"
    return Finding("kernels", "missing", f"{why}; {where}, and so has 2.10 by a plain install", VOLTA_REMEDY)


def _major(driver: str) -> int:
    match = re.match(r"\d+", driver)
    return int(match[0]) if match else 0


def find_gpus() -> list[Gpu]:
    """Return the GPUs that the driver's tool lists; none where there is no driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=60)
    return parse_gpus(done.stdout) if done.returncode == 0 else []


def parse_gpus(answer: str) -> list[Gpu]:
    """Parse what the driver's tool prints: a line of name, capability and driver for each GPU.

    >>> parse_gpus("Tesla V100-SXM2-32GB, 7.0, 580.65.06")
    [Gpu(name='Tesla V100-SXM2-32GB', capability=(7, 0), driver='580.65.06')]
    """
    found = []
    for line in answer.splitlines():
        match = re.fullmatch(r"(.+), (\d+)\.(\d+), (\S+)", line.strip())
        if match:
            found.append(Gpu(match[1], (int(match[2]), int(match[3])), match[4]))
    return found


def findings() -> Iterator[Finding]:
    """Yield what this machine has for training, the cheap things first."""
    try:
        installed = version("torch")
    except PackageNotFoundError:
        gpus = find_gpus()
        volta = any(gpu.capability == (7, 0) for gpu in gpus)
        yield Finding("torch", "missing", "not installed", VOLTA_REMEDY if volta else UPGRADE_REMEDY)
        return
    import torch

    yield from diagnose(installed, compiled_architectures(torch), find_gpus())


def compiled_architectures(torch: Any) -> list[str]:
    """Return what a torch was compiled for, without a call of CUDA."""
    flags = getattr(torch._C, "_cuda_getArchFlags", None)  # noqa: SLF001 - torch.cuda.get_arch_list() starts CUDA
    return (flags() or "").split() if flags else []


def check_torch() -> None:
    """Refuse to start where training would fail at the first kernel.

    Raises:
        TrainError: with the line that mends it.
    """
    wrong = [finding for finding in findings() if finding.state == "missing"]
    if wrong:
        raise TrainError("; ".join(f"{one.found}. Mend it with: {one.remedy}" for one in wrong))
