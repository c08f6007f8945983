"""Receipts: what became of a request, in a form that anyone can check against a release without asking anyone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from stackcurate.errors import ReleaseError
from stackcurate.kernels.opt_outs import APPLICABLE
from stackcurate.release.manifest import MANIFEST
from stackcurate.release.merkle import digest, follow, leaf, levels, merkle_path, merkle_root
from stackcurate.workspace import Workspace, read_json

SEARCHED = ("repo", "repo_id", "path", "blob_id")
"""Columns of a shard in which something removed could stand."""
_TABLE_COLUMNS = (*SEARCHED, "owner", "license_path", "source_repo")
_DOCUMENTS = (".md", ".json", ".jsonl", ".html", ".csv", ".xml", ".spdx")
_PLACE = re.compile(r"[\w@.-]+(?:/[\w@.-]+)+|\b[0-9a-f]{40}\b")
"""What may be the name of a repository, of a file in it, or of a blob."""
_LINE = ("kind", "value", "scope", "requested_at")


def make_receipts(
    requests: Iterable[Mapping[str, Any]],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    outcomes: Mapping[str, Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Yield a receipt for each request: what was asked, what left which shard, and the search that found nothing.

    Args:
        requests: rows of `opt_outs` in force.
        old: manifest of the release that was corrected.
        new: manifest of the correction.
        outcomes: by request_id: `removed` files, `repositories`, `shards` that rows left, and `search`.
    """
    sides = [(m, levels(m["shards"]), {s["path"]: i for i, s in enumerate(m["shards"])}) for m in (old, new)]
    lines: dict[str, list[dict[str, Any]]] = {}
    for row in requests:
        lines.setdefault(row["request_id"], []).append({name: row[name] for name in _LINE})
    for request_id, asked in sorted(lines.items()):
        outcome = outcomes[request_id]
        shards = [
            {"path": path, "before": _entry(*sides[0], path), "after": _entry(*sides[1], path)}
            for path in sorted(outcome["shards"])
        ]
        missing = sorted({line["kind"] for line in asked} - set(APPLICABLE))
        receipt = {
            "request": {"request_id": request_id, "lines": asked, "sha256": digest([request_id, asked])},
            "from": _named(old), "to": _named(new), "outcome": outcome_of(outcome, asked),
            "removed": outcome["removed"], "repositories": outcome["repositories"], "shards": shards,
            "search": outcome["search"], "not_held_here": missing,
        }  # fmt: skip
        yield {**receipt, "sha256": digest(receipt)}


def outcome_of(outcome: Mapping[str, Any], asked: Iterable[Mapping[str, Any]]) -> str:
    """Return in a word what became of a request."""
    if outcome["removed"]:
        return "removed"
    if all(line["kind"] not in APPLICABLE for line in asked):
        return "nothing of that kind is held"
    return "was not in the release" if outcome["repositories"] else "nothing of that name was read"


def _named(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {"version": manifest["version"], "rows": manifest["rows"], "shards": len(manifest["shards"]),
            "merkle_root": manifest["merkle_root"]}  # fmt: skip


def _entry(
    manifest: Mapping[str, Any], tree: Sequence[Sequence[str]], index: Mapping[str, int], path: str
) -> dict[str, Any] | None:
    """Return hash and Merkle path of a shard; None where the release has none of that name."""
    if path not in index:
        return None
    shard = manifest["shards"][index[path]]
    return {"rows": shard["rows"], "sha256": shard["sha256"], "merkle_path": merkle_path(tree, index[path])}


def read_receipts(content: str, where: str) -> list[dict[str, Any]]:
    """Return the receipts of a file: one as JSON, or one per line.

    Raises:
        ReleaseError: it holds no receipts.
    """
    try:
        found = [json.loads(content)] if "\n" in content.strip() and content.lstrip().startswith("{\n") else [
            json.loads(line) for line in content.splitlines() if line.strip()
        ]  # fmt: skip
        if found and all({"request", "shards", "from", "to", "sha256"} <= receipt.keys() for receipt in found):
            return found
    except (ValueError, AttributeError):
        pass
    raise ReleaseError(f"{where}: holds no receipts; `stackcurate opt-out` writes them")


def prove(
    receipts: Sequence[Mapping[str, Any]], folder: Workspace, on_shard: Callable[[int], None] = lambda _: None
) -> list[str]:
    """Check receipts against a release: hashes, Merkle paths, and a search of every shard for what was removed.

    Args:
        receipts: as `make_receipts`.
        folder: of the release.
        on_shard: called with the number of shards read.

    Returns:
        What is wrong, a sentence each; nothing where all is proven.

    Raises:
        ReleaseError: there is no complete release.
    """
    manifest = read_json(folder, MANIFEST)
    if manifest is None:
        raise ReleaseError(f"{folder.root}: no {MANIFEST}, so no complete release")
    problems = []
    if merkle_root(manifest["shards"]) != manifest["merkle_root"]:
        problems.append(f"{MANIFEST}: the Merkle root is not that of its shards")
    for receipt in receipts:
        name = f"request {receipt['request']['request_id']}"
        problems += [f"{name}: {problem}" for problem in _receipt_problems(receipt, manifest)]
    problems += _search(receipts, manifest, folder, on_shard)
    return problems


def _receipt_problems(receipt: Mapping[str, Any], manifest: Mapping[str, Any]) -> Iterator[str]:
    unsigned = {name: value for name, value in receipt.items() if name != "sha256"}
    asked = receipt["request"]
    if digest(unsigned) != receipt["sha256"] or digest([asked["request_id"], asked["lines"]]) != asked["sha256"]:
        yield "the receipt was changed"
    if receipt["to"]["merkle_root"] != manifest["merkle_root"] or receipt["to"]["version"] != manifest["version"]:
        yield f"the receipt is for {receipt['to']['version']}, the release is another {manifest['version']}"
    present = {shard["path"] for shard in manifest["shards"]}
    for shard in receipt["shards"]:
        for side, release in (("before", "from"), ("after", "to")):
            entry = shard[side]
            if entry is not None:
                start = leaf({"path": shard["path"], "rows": entry["rows"], "sha256": entry["sha256"]})
                if follow(start, entry["merkle_path"]) != receipt[release]["merkle_root"]:
                    yield f"{shard['path']}: its Merkle path does not lead to {receipt[release]['version']}"
        if shard["after"] is None and shard["path"] in present:
            yield f"{shard['path']}: is said to be gone and is in the release"


def _search(
    receipts: Sequence[Mapping[str, Any]],
    manifest: Mapping[str, Any],
    folder: Workspace,
    on_shard: Callable[[int], None],
) -> Iterator[str]:
    """Yield where something that receipts call removed stands in the shards."""
    wanted = [(line["kind"], line["value"], line["scope"]) for r in receipts for line in r["request"]["lines"]]
    asked = {(kind, value) for kind, value, scope in wanted if (kind, scope) != ("owner", "now")}
    asked |= {("repository", name.lower()) for r in receipts for repo in r["repositories"] for name in repo.values()}
    filesystem, root = folder.locate()
    for number, shard in enumerate(manifest["shards"], 1):
        try:
            table = pq.read_table(f"{root}/{shard['path']}", filesystem=filesystem, columns=list(SEARCHED))
        except (OSError, pa.ArrowInvalid):
            yield f"{shard['path']}: missing or damaged, so that it could not be searched"
            continue
        for row, found in matches(table, asked):
            yield f"{shard['path']}: row {row} belongs to {found[0]} {found[1]}, which was removed"
        on_shard(number)


def named_beside(folder: Workspace, asked: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the documents and tables beside the shards that name what was removed.

    Args:
        folder: of a release.
        asked: kinds and values of requests.
    """
    filesystem, root = folder.locate()
    infos = filesystem.get_file_info(pafs.FileSelector(root, recursive=True)) if asked else []
    for info in infos:
        name = info.path.removeprefix(f"{root}/")
        if info.type != pafs.FileType.File or name.startswith("data/"):
            continue
        if name.endswith(".parquet"):
            texts = list(_strings(info.path, filesystem))
        elif name.endswith(_DOCUMENTS):
            with filesystem.open_input_stream(info.path) as stream:
                texts = [stream.read().decode("utf-8", "replace")]
        else:
            continue
        found = sorted({kind for text in texts for kind in _places(text.lower(), asked)})
        if found:
            yield f"{name}: names {' and '.join(f'{kind} {value}' for kind, value in found[:3])}, opted out"


def _strings(path: str, filesystem: pafs.FileSystem) -> Iterator[str]:
    file = pq.ParquetFile(path, filesystem=filesystem)
    columns = [name for name in file.schema_arrow.names if name in _TABLE_COLUMNS]
    for batch in file.iter_batches(columns=columns) if columns else ():
        for name in columns:
            end = "/" if name == "owner" else ""
            yield "\n".join(f"{value}{end}" for value in batch[name].unique().to_pylist() if value)


def _places(text: str, asked: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for place in _PLACE.findall(text):
        parts = place.split("/")
        if parts[0] == "data":  # the folder of a language may be called as someone is
            continue
        if len(parts) == 1:
            named_here = [("blob", place)]
        else:
            pairs = pairwise(parts)
            named_here = [("owner", part) for part in parts[:-1]] + [("repository", "/".join(pair)) for pair in pairs]
            named_here += [("repository", place), ("file", place)]
        yield from (one for one in named_here if one in asked)


def matches(table: pa.Table, asked: set[tuple[str, str]]) -> Iterator[tuple[int, tuple[str, str]]]:
    """Yield number and request of each row of a shard that a request means.

    Args:
        table: columns `SEARCHED`.
        asked: kinds and values of requests.
    """
    columns = [table[name].to_pylist() for name in SEARCHED]
    for number, (repo, repo_id, path, blob) in enumerate(zip(*columns, strict=True)):
        for name in named(repo, repo_id, path, blob):
            if name in asked:
                yield number, name
                break


def named(repo: str, repo_id: str, path: str, blob: str) -> tuple[tuple[str, str], ...]:
    """Return all kinds and values by which a request could mean a row."""
    name, other = repo.lower(), repo_id.lower()
    spelled = f"{other.partition('/')[0]}/{name}"
    return (
        ("owner", name.rpartition("/")[0]),
        ("repository", name),
        ("repository", other),
        ("repository", spelled),
        ("blob", blob),
        ("file", f"{name}/{path}".lower()),
        ("file", f"{other}/{path}".lower()),
        ("file", f"{spelled}/{path}".lower()),
    )
