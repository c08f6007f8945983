"""Doctor: every version of torch beside every generation of GPU, with lists of architectures as wheels have them."""

from __future__ import annotations

import pytest

from stackcurate.train.doctor import (
    TORCH_WHEELS,
    UPGRADE_REMEDY,
    VOLTA_REMEDY,
    Finding,
    Gpu,
    diagnose,
    find_gpus,
    find_wheels,
    findings,
    has_kernels,
    parse_gpus,
    supported,
)

V100 = Gpu("Tesla V100-SXM2-32GB", (7, 0), "580.65.06")
H100 = Gpu("NVIDIA H100 80GB HBM3", (9, 0), "595.10")


def missing(version: str, architectures: tuple[str, ...], *gpus: Gpu) -> list[Finding]:
    return [one for one in diagnose(version, architectures, gpus) if one.state == "missing"]


@pytest.mark.parametrize("wheels", TORCH_WHEELS, ids=lambda wheels: wheels.version)
def test_a_plain_install_of_each_version_on_a_v100(wheels: object) -> None:
    found = missing(f"{wheels.version}.0", wheels.architectures, V100)  # type: ignore[attr-defined]

    if wheels.volta == "default":  # type: ignore[attr-defined]
        assert found == []
    else:
        assert [one.remedy for one in found] == [VOLTA_REMEDY]
        assert "sm_70" in found[0].found
        assert "cu126" in found[0].found


@pytest.mark.parametrize("version", ["2.11.0", "2.13.0", "2.14.1"])
def test_the_cu126_build_of_later_versions_has_volta(version: str) -> None:
    cu126 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")

    assert find_wheels(version).volta == "cu126"  # type: ignore[union-attr]
    assert missing(f"{version}+cu126", cu126, V100) == []


@pytest.mark.parametrize("wheels", TORCH_WHEELS, ids=lambda wheels: wheels.version)
def test_every_version_runs_on_newer_gpus(wheels: object) -> None:
    assert missing(f"{wheels.version}.0", wheels.architectures, H100) == []  # type: ignore[attr-defined]


def test_only_the_versions_that_lost_volta_say_so() -> None:
    assert [wheels.version for wheels in TORCH_WHEELS if "sm_70" not in wheels.architectures] == [
        "2.11", "2.12", "2.13", "2.14", "2.15",
    ]  # fmt: skip
    assert all(("sm_70" in wheels.architectures) == (wheels.volta == "default") for wheels in TORCH_WHEELS)


@pytest.mark.parametrize(
    ("architectures", "capability", "runs"),
    [
        (["sm_70"], (7, 0), True),
        (["sm_70"], (7, 5), True),
        (["sm_75"], (7, 0), False),
        (["sm_80"], (9, 0), False),
        (["sm_80", "compute_80"], (9, 0), True),
        (["sm_90a"], (9, 0), True),
        (["sm_90a"], (9, 1), False),
        (["sm_100"], (10, 0), True),
        (["sm_120"], (10, 0), False),
        ([], (7, 0), False),
        (["gfx90a"], (7, 0), False),
    ],
)
def test_kernels_fit_by_generation(architectures: list[str], capability: tuple[int, int], runs: bool) -> None:
    assert has_kernels(architectures, capability) is runs


def test_a_v100_has_fp16_and_no_bf16() -> None:
    features = supported((7, 0))

    assert [features[name] for name in ("fp16 tensor cores", "memory-efficient attention", "torch.compile")] == [
        True
    ] * 3
    assert [features[name] for name in ("bf16", "TF32", "FlashAttention", "FP8")] == [False] * 4
    assert all(supported((9, 0)).values())


def test_a_build_without_cuda_is_told() -> None:
    assert [one.remedy for one in missing("2.13.0+cpu", (), V100)] == [VOLTA_REMEDY]
    assert [one.remedy for one in missing("2.13.0+cpu", (), H100)] == [UPGRADE_REMEDY]
    assert missing("2.13.0+cpu", ()) == []


def test_an_old_torch_and_a_new_driver_are_told() -> None:
    assert "older than 2.7" in missing("2.6.0", ("sm_70",), V100)[0].found
    found = missing("2.10.0", ("sm_70",), Gpu("Tesla V100", (7, 0), "590.1"))
    assert [one.name for one in found] == ["driver"]


def test_an_unknown_version_still_gets_an_answer() -> None:
    assert "2.14 of the cu126 index is the last" in missing("2.16.0", ("sm_75",), V100)[0].found


def test_the_drivers_answer_is_parsed() -> None:
    assert parse_gpus("Tesla V100-SXM2-32GB, 7.0, 580.65.06\nNVIDIA H100 80GB HBM3, 9.0, 595.10\n\n") == [V100, H100]
    assert parse_gpus("NVIDIA-SMI has failed because it couldn't communicate with the driver.") == []


def test_this_machine_gets_an_answer() -> None:
    found = list(findings())

    assert found[0].name == "torch"
    assert all(one.remedy for one in found if one.state == "missing")
    assert isinstance(find_gpus(), list)
