"""Policy: from facts to one verdict per file, with the stage and the reason that took it out.

A stage that has not run judges nothing; a file that a stage could not look at is taken out as `not_scanned`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stackcurate import schema
from stackcurate.config import setting
from stackcurate.kernels.license_policy import ADMISSIBLE, PolicyConfig, classify, load_policy
from stackcurate.kernels.malware_policy import MalwarePolicy, settle
from stackcurate.kernels.quality_policy import QualityPolicy, reasons
from stackcurate.stage import Batches, spark_schema

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

PERMISSIVE = "permissive"

ORDER = (
    "files", "opt_outs", "licenses", "quality", "signals", "language", "malware", "contamination", "near_dups", "pii",
)  # fmt: skip
"""Stages in the order in which they take files out."""

DROP, LABEL = CONTAMINATION = ("drop", "label")
"""What may become of a file that holds the text of a benchmark."""

TERMS = ("none", "attribution", "responsible-use")
"""Use terms to choose from; the texts are in `stackcurate/data/terms`."""


@dataclass(frozen=True, kw_only=True)
class ReleaseConfig:
    """What is published, and in which shape."""

    version: str = setting("v1", "name of the release; a release that exists is never overwritten with another")
    title: str = setting("code dataset", "title of the dataset card")
    license_classes: tuple[str, ...] = setting((PERMISSIVE,), "licence classes that are kept")
    languages: tuple[str, ...] = setting((), "languages that are kept, as Linguist spells them; empty means all")
    generated: bool = setting(True, "keep generated files")
    vendored: bool = setting(True, "keep vendored files whose own licence is known")
    contamination: str = setting(
        "drop", "what becomes of a file that holds the text of a benchmark: `drop`, or `label` in its row"
    )
    shard_bytes: int = setting(256 << 20, "source bytes per shard, roughly; never splits an owner")
    shards_of: str = setting(
        "", "release whose number of shards per language is kept, so that its rows stay in the shards they are in"
    )
    row_group_bytes: int = setting(6 << 20, "bytes of text per row group")
    redaction_key: str = setting("", "key of the pseudonyms; the same key gives the same ones")
    terms: str = setting("none", "use terms that go with the release: `none`, `attribution` or `responsible-use`")
    gated: bool = setting(False, "the card asks who wants access to agree to the terms")

    def __post_init__(self) -> None:
        if not self.version or "/" in self.version or self.version.startswith("."):
            raise ValueError(f"version must be a plain name, found {self.version!r}")
        if self.shard_bytes <= 0 or self.row_group_bytes <= 0:
            raise ValueError("shard_bytes and row_group_bytes must be positive")
        if self.terms not in TERMS:
            raise ValueError(f"terms must be one of {', '.join(TERMS)}, not {self.terms!r}")
        if self.contamination not in CONTAMINATION:
            raise ValueError(f"contamination must be one of {', '.join(CONTAMINATION)}, not {self.contamination!r}")
        if self.gated and self.terms == "none":
            raise ValueError("gated access needs terms to agree to: set terms as well")


def judge(files: DataFrame, facts: Mapping[str, DataFrame], config: Mapping[str, Any]) -> DataFrame:
    """Add `stage`, `reason` and `detail` to each file: null where it is admissible; `seen_<stage>` where it has facts.

    Args:
        files: as `files`.
        facts: facts by stage name, of those stages that have run.
        config: sections `release`, `policy`, `quality_policy` and `malware_policy`.
    """
    joined = files
    for name in _RULES:
        if name in facts:
            joined = _join(joined, name, facts[name])
    joined = _classed(joined, facts, config)
    verdicts = [_source_error()]
    for name in ORDER:
        if name in facts and name in _RULES:
            verdicts += _RULES[name](config)
    return _first(joined, verdicts)


def with_allowed(decided: DataFrame, malware: DataFrame, config: Mapping[str, Any]) -> DataFrame:
    """Say in the `detail` of each file that is kept what the allow list let pass, and why.

    Args:
        decided: files with `reason` and `detail`.
        malware: as `malware`.
        config: as `judge` takes it.
    """
    from pyspark.sql import functions as F

    if not config["malware_policy"].allow:
        return decided
    kept = decided.where("reason is null").select(*schema.FILES.columns.names)
    noted = _classed(_join(kept, "malware", malware), ("malware",), config).where("malware_allowed is not null")
    joined = decided.join(noted.selectExpr("file_id", f"{_ALLOWED} as allowed_"), "file_id", "left")
    return joined.withColumn("detail", F.coalesce("detail", "allowed_")).drop("allowed_")


def _join(files: DataFrame, name: str, facts: DataFrame) -> DataFrame:
    """Join the facts of one stage, their `error` as `<stage>_error`."""
    from pyspark.sql import functions as F

    facts = facts.withColumnRenamed("error", f"{name}_error").withColumn(f"seen_{name}", F.lit(True))
    return files.join(facts, "blob_id" if "blob_id" in facts.columns else "file_id", "left")


def _classed(files: DataFrame, names: Iterable[str], config: Mapping[str, Any]) -> DataFrame:
    """Add what the policies say of licence, quality and malware, as far as the facts for it are there."""
    added = [column for stage, columns in _CLASSED.items() if stage in names for column in columns]
    if not added:
        return files
    columns = spark_schema(pa.schema([(name, pa.string()) for name in added]), after=files)
    policies = {name: config[name] for name in ("policy", "quality_policy", "malware_policy")}
    return files.mapInArrow(partial(_add_classes, added=added, **policies), columns)


_CLASSED = {
    "licenses": ("license_type",),
    "quality": ("quality_reason",),
    "malware": ("malware_verdict", "malware_allowed"),
}
"""Columns that the policies add, by stage."""


def _add_classes(
    batches: Batches, *, added: list[str], policy: PolicyConfig, quality_policy: QualityPolicy,
    malware_policy: MalwarePolicy,
) -> Batches:  # fmt: skip
    loaded = load_policy(policy)
    for batch in batches:
        classed = batch
        if "license_type" in added:
            classes = [None if text is None else classify(text, loaded) for text in batch["license"].to_pylist()]
            classed = classed.append_column("license_type", pa.array(classes, pa.string()))
        if "quality_reason" in added:
            classed = classed.append_column("quality_reason", reasons(batch, quality_policy).cast(pa.string()))
        if "malware_verdict" in added:
            settled = settle(batch, batch["malware_error"], malware_policy)
            for name in settled.schema.names:
                classed = classed.append_column(f"malware_{name}", settled[name])
        yield classed


def _verdict(condition: str, stage: str, reason: str, detail: str = "null") -> Column:
    """Return a struct where the condition holds, null elsewhere; reason and detail are SQL."""
    from pyspark.sql import functions as F

    return F.expr(
        f"case when {condition} then "
        f"struct('{stage}' as stage, {reason} as reason, cast({detail} as string) as detail) end"
    )


def _listed(names: Iterable[str]) -> str:
    """Return names as SQL literals between commas; the empty string where there are none."""
    return ", ".join("'" + name.replace("'", "''") + "'" for name in names) or "''"


def _source_error() -> Column:
    return _verdict("error is not null or blob_id is null", "files", "coalesce(error, 'unreadable')")


def _opt_out_rules(_: Mapping[str, Any]) -> list[Column]:
    return [_verdict("request_id is not null", "opt_outs", "'opted_out'", "request_id")]


def _license_rules(config: Mapping[str, Any]) -> list[Column]:
    kept = _listed(config["release"].license_classes)
    unlicensed = load_policy(config["policy"]).keep_unlicensed
    reasons = _listed((*ADMISSIBLE, "no_license") if unlicensed else ADMISSIBLE)
    return [
        _verdict("licenses_error is not null", "licenses", "licenses_error"),
        _verdict(
            f"seen_licenses and coalesce(license_reason, '') not in ({reasons})",
            "licenses",
            "coalesce(license_reason, 'not_scanned')",
            "concat_ws(' ', license, license_source, license_path)",
        ),
        _verdict(
            f"license_reason <> 'no_license' and coalesce(license_type, 'unknown') not in ({kept})",
            "licenses",
            "concat('license_', coalesce(license_type, 'unknown'))",
            "concat_ws(' ', license, license_source, license_path, license_lines)",
        ),
    ]


def _language_rules(config: Mapping[str, Any]) -> list[Column]:
    rules = [
        _verdict("language_error is not null", "language", "language_error"),
        _verdict("seen_language and language is null", "language", "'unknown_language'"),
    ]
    release = config["release"]
    if release.languages:
        kept = _listed(release.languages)
        rules.append(_verdict(f"language not in ({kept})", "language", "'language_not_wanted'", "language"))
    if not release.generated:
        rules.append(_verdict("generated", "language", "'generated'"))
    if not release.vendored:
        rules.append(_verdict("vendored", "language", "'vendored'"))
    return rules


def _quality_rules(_: Mapping[str, Any]) -> list[Column]:
    return [
        _verdict("quality_error is not null", "quality", "quality_error"),
        _verdict("seen_quality and quality_reason is not null", "quality", "quality_reason"),
    ]


def _signal_rules(_: Mapping[str, Any]) -> list[Column]:
    return [_verdict("signals_error is not null", "signals", "signals_error")]


def _malware_rules(config: Mapping[str, Any]) -> list[Column]:
    verdicts = _listed(config["malware_policy"].verdicts)
    rules = "concat_ws(',', array_distinct(transform(findings, f -> f.rule)))"
    detail = f"concat_ws('; ', {rules}, {_ALLOWED})"
    objects = f"malware_verdict in ({verdicts})"
    return [
        _verdict("seen_malware and verdict is null", "malware", "'not_scanned'"),
        _verdict(f"malware_verdict = 'incomplete' and {objects}", "malware", "malware_error"),
        _verdict(objects, "malware", "concat('malware_', malware_verdict)", detail),
    ]


_ALLOWED = "concat('allowed ', malware_allowed)"


def _contamination_rules(config: Mapping[str, Any]) -> list[Column]:
    found = "concat_ws(', ', transform(overlaps, o -> concat(o.benchmark, ' ', o.item)))"
    rules = [
        _verdict("contamination_error is not null", "contamination", "contamination_error"),
        _verdict("seen_contamination and overlaps is null", "contamination", "'not_scanned'"),
    ]
    if config["release"].contamination == DROP:
        rules.append(_verdict("size(overlaps) > 0", "contamination", "'contaminated'", found))
    return rules


def _pii_rules(_: Mapping[str, Any]) -> list[Column]:
    return [
        _verdict("pii_error is not null", "pii", "pii_error"),
        _verdict("seen_pii and spans is null", "pii", "'not_scanned'"),
    ]


_RULES = {
    "opt_outs": _opt_out_rules,
    "licenses": _license_rules,
    "language": _language_rules,
    "quality": _quality_rules,
    "signals": _signal_rules,
    "malware": _malware_rules,
    "contamination": _contamination_rules,
    "pii": _pii_rules,
}


def _first(joined: DataFrame, verdicts: list[Column]) -> DataFrame:
    """Add the first verdict that applies as three columns."""
    from pyspark.sql import functions as F

    decided = joined.withColumn("verdict_", F.coalesce(*verdicts))
    for name in ("stage", "reason", "detail"):
        decided = decided.withColumn(name, F.col("verdict_").getField(name))
    return decided.drop("verdict_")
