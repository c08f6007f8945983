"""The documents of a release: a dataset card with `configs:`, and Croissant metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from stackcurate import schema
from stackcurate.release.shards import directory
from stackcurate.release.terms import TERMS, card_header
from stackcurate.workspace import Workspace, write_bytes, write_json

CARD = "README.md"
CROISSANT = "croissant.json"
_MOST_LICENSES = 50
"""Licence expressions that the card lists."""

_CROISSANT_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""Source: the Croissant 1.0 specification's context."""


def write_card(workspace: Workspace, manifest: Mapping[str, Any], funnel: Mapping[str, Any], held: pa.Table) -> None:
    """Write the card and the Croissant file of a release into its folder."""
    folder = ("releases", manifest["version"])
    write_bytes(workspace, card(manifest, funnel, held).encode(), *folder, CARD)
    write_json(workspace, croissant(manifest), *folder, CROISSANT)


def card(manifest: Mapping[str, Any], funnel: Mapping[str, Any], held: pa.Table) -> str:
    """Return the dataset card: YAML header with one config per language, then what was done, in numbers.

    Args:
        manifest: of the release.
        funnel: of the release.
        held: what `sbom.holdings` returns.
    """
    configs = ["- config_name: default", '  data_files: "data/*/*.parquet"', "  default: true"]
    for language in manifest["languages"]:
        configs += [f"- config_name: {directory(language)}", f'  data_files: "data/{directory(language)}/*.parquet"']
    languages = [
        f"| {name} | {entry['rows']:,} | {entry['content_bytes'] / 1e6:,.2f} | {entry['shards']} |"
        for name, entry in manifest["languages"].items()
    ]
    dropped = [f"| {row['stage']} | {row['reason']} | {row['files']:,} |" for row in funnel["dropped"]]
    columns = [f"| `{c.name}` | {c.type} | {c.metadata[b'doc'].decode()} |" for c in schema.RELEASE.columns]
    policy = manifest["config"]
    classes = ", ".join(policy["release"]["license_classes"])
    return "\n".join([
        "---", f"pretty_name: {json.dumps(manifest['title'])}", *card_header(manifest), "tags:", "- code",
        "task_categories:", "- text-generation", "configs:", *configs, "---", "",
        f"# {manifest['title']} {manifest['version']}", "",
        f"{manifest['rows']:,} files of {funnel['files']:,} that were read, {manifest['content_bytes'] / 1e6:,.1f} MB, "
        f"from {funnel['repositories']['read']:,} repositories and packages.", "",
        "Each row is one file under a permissive licence, with the licence and the place where it was found. "
        f"Licence classes kept: {classes} under the policy `{policy['policy']['profile']}`. "
        f"{_near_duplicates(policy['near_dups'])} "
        f"{manifest['redactions']:,} spans of personal data and secrets were replaced in the text.", "",
        "## Languages", "", "| language | files | MB | shards |", "|---|---:|---:|---:|", *languages, "",
        "## Licences", "", "| licence | files | MB |", "|---|---:|---:|", *_licenses(held), "",
        "## What is not in it", "", "| stage | reason | files |", "|---|---|---:|", *dropped, "",
        "## Columns", "", "| column | type | meaning |", "|---|---|---|", *columns, "",
        "## Use", "",
        "The files keep their own licences: whoever passes code on has to keep to the licence in `license`, "
        "attribution included. `manifest.json` lists each shard with its SHA-256; `funnel.json` why files are missing; "
        "`sbom.spdx.json` the repositories with their licences; `training_summary.json` what a summary of training "
        "content asks for.", *_terms(manifest), "",
    ])  # fmt: skip


def _licenses(held: pa.Table) -> list[str]:
    """Return the rows of the licence table, most files first."""
    groups = held.group_by(["license"], use_threads=False).aggregate([("files", "sum"), ("bytes", "sum")])
    ordered = groups.sort_by([("files_sum", "descending"), ("license", "ascending")]).to_pylist()
    shown = [f"| {r['license'] or 'none found'} | {r['files_sum']:,} | {r['bytes_sum'] / 1e6:,.2f} |" for r in ordered]
    rest = len(shown) - _MOST_LICENSES
    return shown if rest <= 0 else [*shown[:_MOST_LICENSES], f"| and {rest} more expressions | | |"]


def _terms(manifest: Mapping[str, Any]) -> list[str]:
    named = manifest["config"]["release"]["terms"] != "none"
    return ["", f"The terms of use are in `{TERMS}`."] if named else []


def croissant(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Croissant description of a release: one record set over all Parquet shards."""
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"files/{column.name}",
            "name": column.name,
            "description": column.metadata[b"doc"].decode(),
            "dataType": _data_type(column.type),
            "source": {"fileSet": {"@id": "shards"}, "extract": {"column": column.name}},
        }
        for column in schema.RELEASE.columns
    ]
    folder = {
        "@type": "cr:FileObject",
        "@id": "release",
        "name": "release",
        "description": "The folder of the release.",
        "contentUrl": ".",
        "encodingFormat": "inode/directory",
        "sha256": manifest["digest"],
    }
    shards = {
        "@type": "cr:FileSet",
        "@id": "shards",
        "name": "shards",
        "description": "All shards, a folder per language.",
        "containedIn": {"@id": "release"},
        "encodingFormat": "application/x-parquet",
        "includes": "data/*/*.parquet",
    }
    return {
        "@context": _CROISSANT_CONTEXT,
        "@type": "sc:Dataset",
        "name": manifest["title"].replace(" ", "-"),
        "description": f"{manifest['rows']} files of source code in {len(manifest['languages'])} languages.",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "license": "https://spdx.org/licenses/",
        "url": ".",
        "version": manifest["version"],
        **_responsible(manifest),
        "distribution": [folder, shards],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "files", "name": "files", "field": fields}],
    }


def _responsible(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of the Responsible AI vocabulary 1.0."""
    policy = manifest["config"]
    return {
        "rai:dataCollection": "Files of public repositories and packages, with licence and evidence.",
        "rai:dataPreprocessingProtocol": "Exact and near-duplicates are removed at an exact Jaccard similarity of "
        f"{policy['near_dups']['threshold']}; quality rules: {policy['quality_policy']['preset']}.",
        "rai:personalSensitiveInformation": f"{manifest['redactions']} spans of names, addresses and secrets were "
        "replaced before release.",
        "rai:dataLimitations": "Names and secrets are found by rules and models, which miss some; "
        "licences are those of the revision that was read.",
        "rai:dataReleaseMaintenancePlan": "Requests to be left out lead to a new version; removed/ lists what went.",
        "rai:dataUseCases": "Training and evaluation of models of source code, and research on source code.",
    }


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:Date" if pa.types.is_timestamp(kind) else "sc:Text"


def _near_duplicates(settings: Mapping[str, Any]) -> str:
    """Say how near-duplicates were found."""
    if settings["verify"]:
        return f"Near-duplicates are removed at an exact Jaccard similarity of {settings['threshold']}."
    return "Near-duplicates are removed without verification: of files that share a band, directly or not, one is kept."
