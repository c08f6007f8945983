"""The manifest: what a release holds, what it was made from, and the hashes that prove it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as distribution_version
from types import MappingProxyType
from typing import Any

from stackcurate import schema
from stackcurate.errors import ReleaseError
from stackcurate.release.merkle import merkle_root
from stackcurate.workspace import Workspace, read_json

MANIFEST = "manifest.json"
FUNNEL = "funnel.json"
_PRIVATE_SECTIONS = ("workspace", "spark", "sources", "opt_outs")
_PRIVATE_VALUES = ("redaction_key", "rules", "deny_sha256")
"""What a manifest never tells: keys, and paths of the machine that made it."""
RECORDED = (
    "pyarrow",
    "pyspark",
    "scancode-toolkit",
    "presidio-analyzer",
    "detect-secrets",
    "spacy",
    "datasketch",
    "yara-x",
)
"""Distributions whose versions a manifest names."""


@dataclass(frozen=True)
class Release:
    """A complete release: its version, its folder or URI, and its manifest."""

    version: str
    path: str
    manifest: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """Number of files in all shards."""
        return int(self.manifest["rows"])


def load_release(workspace: Workspace, version: str) -> Release | None:
    """Return a release, or None where there is none that is complete."""
    manifest = read_json(workspace, "releases", version, MANIFEST)
    return None if manifest is None else Release(version, workspace.below("releases", version).root, manifest)


def find_release(workspace: Workspace, version: str, digest: str, *, replace: bool = False) -> Release | None:
    """Return the release of that version and digest, or None where the version is free.

    Args:
        workspace: where releases are.
        version: name of the release.
        digest: what it is to be made from.
        replace: a release that was made from something else leaves the version free.

    Raises:
        ReleaseError: the version was made from something else.
    """
    release = load_release(workspace, version)
    if release is not None and release.manifest["digest"] != digest:
        if replace:
            return None
        raise ReleaseError(
            f"release {version!r} exists and was made from other inputs, config or code; "
            "set another [release] version, or give --replace to build this one anew"
        )
    return release


def make_manifest(
    digest: str,
    config: Mapping[str, Any],
    shards: list[dict[str, Any]],
    funnel: Mapping[str, Any],
    credited: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the manifest of a release; it holds no times and no paths of the machine that made it.

    Args:
        digest: what the release is made from.
        config: all sections.
        shards: entries of the shards.
        funnel: of the release.
        credited: paths and SHA-256 of licence texts, notices and holders.
    """
    languages: dict[str, dict[str, int]] = {}
    for shard in shards:
        entry = languages.setdefault(shard["language"], {"shards": 0, "rows": 0, "bytes": 0, "content_bytes": 0})
        entry["shards"] += 1
        for name in ("rows", "bytes", "content_bytes"):
            entry[name] += shard[name]
    return {
        "schema_version": schema.VERSION,
        "digest": digest,
        "version": config["release"]["version"],
        "title": config["release"]["title"],
        "config": public_config(config),
        "software": {name: found for name in RECORDED if (found := _version(name))},
        "stackcurate": _version("stackcurate"),
        "rows": sum(shard["rows"] for shard in shards),
        "content_bytes": sum(shard["content_bytes"] for shard in shards),
        "redactions": sum(shard["redactions"] for shard in shards),
        "files_read": funnel["files"],
        "languages": dict(sorted(languages.items())),
        "merkle_root": merkle_root(shards),
        "credits": dict(sorted(credited.items())),
        "shards": shards,
    }


def public_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a config that a manifest tells: no keys, and no paths of the machine that made it."""
    return {
        section: {name: value for name, value in values.items() if name not in _PRIVATE_VALUES}
        for section, values in config.items()
        if section not in _PRIVATE_SECTIONS
    }


def _version(name: str) -> str | None:
    try:
        return distribution_version(name)
    except ModuleNotFoundError:
        return None
