"""The documents of a release: a dataset card with `configs:`, and Croissant metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from stackcurate import schema
from stackcurate.release.shards import directory
from stackcurate.workspace import Workspace, write_bytes, write_json

CARD = "README.md"
CROISSANT = "croissant.json"

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


def write_card(workspace: Workspace, manifest: Mapping[str, Any], funnel: Mapping[str, Any]) -> None:
    """Write the card and the Croissant file of a release into its folder."""
    folder = ("releases", manifest["version"])
    write_bytes(workspace, card(manifest, funnel).encode(), *folder, CARD)
    write_json(workspace, croissant(manifest), *folder, CROISSANT)


def card(manifest: Mapping[str, Any], funnel: Mapping[str, Any]) -> str:
    """Return the dataset card: YAML header with one config per language, then what was done, in numbers."""
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
        "---", f"pretty_name: {json.dumps(manifest['title'])}", "license: other", "tags:", "- code", "task_categories:",
        "- text-generation", "configs:", *configs, "---", "",
        f"# {manifest['title']} {manifest['version']}", "",
        f"{manifest['rows']:,} files of {funnel['files']:,} that were read, {manifest['content_bytes'] / 1e6:,.1f} MB, "
        f"from {funnel['repositories']['read']:,} repositories and packages.", "",
        "Each row is one file under a permissive licence, with the licence and the place where it was found. "
        f"Licence classes kept: {classes} under the policy `{policy['policy']['profile']}`. "
        f"Near-duplicates are removed at an exact Jaccard similarity of {policy['near_dups']['threshold']}. "
        f"{manifest['redactions']:,} spans of personal data and secrets were replaced in the text.", "",
        "## Languages", "", "| language | files | MB | shards |", "|---|---:|---:|---:|", *languages, "",
        "## What is not in it", "", "| stage | reason | files |", "|---|---|---:|", *dropped, "",
        "## Columns", "", "| column | type | meaning |", "|---|---|---|", *columns, "",
        "## Use", "",
        "The files keep their own licences: whoever passes code on has to keep to the licence in `license`, "
        "attribution included. `manifest.json` lists each shard with its SHA-256; `funnel.json` why files are missing.",
        "",
    ])  # fmt: skip


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
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": "https://spdx.org/licenses/",
        "url": ".",
        "version": manifest["version"],
        "rai:personalSensitiveInformation": f"{manifest['redactions']} spans were replaced before release.",
        "distribution": [folder, shards],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "files", "name": "files", "field": fields}],
    }


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:Date" if pa.types.is_timestamp(kind) else "sc:Text"
