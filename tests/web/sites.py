"""A small release of real text, written without Spark by the same functions as a true one, and its application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from stackcurate import pipeline, schema
from stackcurate.release.attribution_index import build_index
from stackcurate.release.export import publish
from stackcurate.release.manifest import make_manifest
from stackcurate.release.shards import encode, shard_entry, shard_of
from stackcurate.workspace import Workspace, open_workspace, write_bytes
from tests.train.releases import row

SHARDS = 3
MARKUP = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"
"""What a hostile path looks like; the page has to show it as it stands."""
SORT = '''def merge_sorted(left: list[int], right: list[int]) -> list[int]:
    """Merge two sorted lists into one."""
    merged: list[int] = []
    while left and right:
        source = left if left[0] <= right[0] else right
        merged.append(source.pop(0))
    return merged + left + right
'''
RING = """/* A ring buffer of bytes: one writer, one reader, no lock. */
#include <stdatomic.h>
#include <stddef.h>
struct ring { unsigned char *data; size_t mask; atomic_size_t head, tail; };
int ring_push(struct ring *r, unsigned char byte) {
    size_t head = atomic_load(&r->head);
    if (((head + 1) & r->mask) == atomic_load(&r->tail)) return 0;
    r->data[head] = byte; atomic_store(&r->head, (head + 1) & r->mask); return 1;
}
"""


def rows() -> list[dict[str, Any]]:
    """Return the files of the release."""
    files = [
        row("Octocat/algorithms", "src/merge.py", SORT), row("Octocat/algorithms", "src/heap.py", _module("heap", 12)),
        row("Octocat/algorithms", "README.md", "# Algorithms\n\nSmall and tested.\n", "Markdown"),
        row("Octocat/ring", "ring.c", RING, "C"), row("Octocat/ring", "ring.h", "struct ring;\n", "C"),
        row("octocat-labs/site", f"pages/{MARKUP}.js", "export const one = 1;\n", "JavaScript"),
    ]  # fmt: skip
    files += [row("hello-org/tools", f"tool_{n:02d}.py", _module(f"tool_{n}", n % 7)) for n in range(30)]
    files += [row(f"hello-org/part-{n:02d}", "main.go", f"package part{n}\n", "Go") for n in range(12)]
    for file in files[3:5]:
        file["license"] = "Apache-2.0"
    return [file | {"repo_id": f"git/{file['repo'].lower()}"} for file in files]


def _module(name: str, functions: int) -> str:
    return "".join(
        f"def {name}_{n}(value):\n    return value * {n} + len('{name}')\n\n\n" for n in range(functions + 1)
    )


def write_site(folder: Path) -> Workspace:
    """Write a workspace with release v1 and return it."""
    workspace = open_workspace(folder)
    config = pipeline.load_config(None, [f'workspace.path="{folder}"', 'release.title="The Sample"'])
    by_shard: dict[str, list[dict[str, Any]]] = {}
    for file in rows():
        owner = file["repo"].partition("/")[0]
        by_shard.setdefault(shard_of(file["language"], owner, SHARDS), []).append(file)
    entries = []
    for path, members in sorted(by_shard.items()):
        ordered = sorted(members, key=lambda one: (one["repo"], one["path"]))
        table = pa.Table.from_pylist(ordered, schema=schema.RELEASE.columns)
        data = encode(table, 1 << 20)
        write_bytes(workspace, data, "releases", "v1", path)
        entries.append(shard_entry(path, table, data))
    build_index(None, workspace, "v1", entries, config["attribution"])
    count, size = len(rows()), sum(file["size"] for file in rows())
    lost = [("opt_outs", "opted_out", 14), ("licenses", "no_license", 610), ("licenses", "not_permissive", 48),
            ("quality", "generated", 31), ("near_dups", "exact_duplicate", 102), ("near_dups", "near_duplicate", 57),
            ("malware", "malware", 2)]  # fmt: skip
    dropped = [{"stage": stage, "reason": reason, "files": n, "bytes": n * 900} for stage, reason, n in lost]
    files = count + sum(n for *_, n in lost)
    funnel = {"files": files, "bytes": size + 900 * (files - count), "kept": {"files": count, "bytes": size},
              "dropped": dropped, "repositories": {"read": 61, "errors": {"damaged": 1}}}  # fmt: skip
    publish(workspace, make_manifest("0" * 64, config.to_dict(), entries, funnel), funnel)
    return workspace
