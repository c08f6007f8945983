"""The Spark code: DataFrame -> DataFrame. `PIPELINE` lists the stages in order."""

from __future__ import annotations

from stackcurate.stage import Stage
from stackcurate.stages.contamination import contamination
from stackcurate.stages.language import language
from stackcurate.stages.licenses import license_scan, licenses
from stackcurate.stages.malware import malware
from stackcurate.stages.near_dups import near_dup_bands, near_dups
from stackcurate.stages.opt_outs import opt_outs
from stackcurate.stages.pii import pii
from stackcurate.stages.quality import quality
from stackcurate.stages.signals import signals

__all__ = [
    "LATE",
    "PIPELINE",
    "contamination",
    "language",
    "license_scan",
    "licenses",
    "malware",
    "near_dup_bands",
    "near_dups",
    "opt_outs",
    "pii",
    "quality",
    "signals",
]

LATE: tuple[Stage, ...] = (malware, contamination, pii)
"""Stages that look only at what an election could keep."""

PIPELINE: tuple[Stage, ...] = (
    license_scan,
    licenses,
    language,
    quality,
    signals,
    near_dup_bands,
    near_dups,
    *LATE,
    opt_outs,
)
"""All stages. The cheap ones cut first, those of `LATE` come last."""
