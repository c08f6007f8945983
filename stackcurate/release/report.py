"""The report: the funnel as a picture, languages and reasons, in one HTML file without anything from outside."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from stackcurate.workspace import Workspace, write_bytes

REPORT = "report.html"

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2733 }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .25rem .6rem }
tbody tr:nth-child(odd) { background: #f3f6f9 } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
svg text { font: 13px system-ui, sans-serif; fill: #1c2733 } .lead { color: #4a5a6a }
"""

_BAR, _GAP, _LEFT, _WIDTH = 26, 8, 210, 620
"""Sizes of the funnel's bars in pixels: height, distance, room for names, longest bar."""


def write_report(workspace: Workspace, manifest: Mapping[str, Any], funnel: Mapping[str, Any]) -> None:
    """Write the report into the folder of a release."""
    write_bytes(workspace, html(manifest, funnel).encode(), "releases", manifest["version"], REPORT)


def levels(funnel: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """Return for each stage the files that are left after it, and those that it took out.

    >>> levels({"files": 3, "dropped": [{"stage": "licenses", "files": 2}]})
    [('read', 3, 0), ('licenses', 1, 2)]
    """
    rows = [("read", funnel["files"], 0)]
    left = funnel["files"]
    for stage in dict.fromkeys(row["stage"] for row in funnel["dropped"]):
        lost = sum(row["files"] for row in funnel["dropped"] if row["stage"] == stage)
        left -= lost
        rows.append((stage, left, lost))
    return rows


def svg(funnel: Mapping[str, Any]) -> str:
    """Return the funnel as an SVG: per stage a bar of what is left, and in red what went."""
    rows = levels(funnel)
    scale = _WIDTH / max(funnel["files"], 1)
    height = len(rows) * (_BAR + _GAP) + _GAP
    taken = f'height="{_BAR}" rx="3" fill="#d9897b"/>'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}" role="img" '
        f'aria-label="Files left after each stage">'
    ]
    for index, (name, left, lost) in enumerate(rows):
        y = _GAP + index * (_BAR + _GAP)
        middle = y + _BAR / 2 + 5
        note = f"{left:,}" + (f" (-{lost:,})" if lost else "")
        parts += [
            f'<text x="0" y="{middle}">{escape(name)}</text>',
            f'<text x="{_LEFT - 12}" y="{middle}" text-anchor="end">{note}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{left * scale:.1f}" height="{_BAR}" rx="3" fill="#2f7d6b"/>',
            f'<rect x="{_LEFT + left * scale:.1f}" y="{y}" width="{lost * scale:.1f}" {taken}',
        ]
    return "\n".join([*parts, "</svg>"])


def html(manifest: Mapping[str, Any], funnel: Mapping[str, Any]) -> str:
    """Return the report as one HTML page."""
    languages = sorted(manifest["languages"].items(), key=lambda item: (-item[1]["rows"], item[0]))
    errors = funnel["repositories"]["errors"].items()
    return "\n".join([
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(manifest['title'])} {escape(manifest['version'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(manifest['title'])}, release {escape(manifest['version'])}</h1>",
        f'<p class="lead">{manifest["rows"]:,} of {funnel["files"]:,} files kept, '
        f'{manifest["content_bytes"] / 1e6:,.1f} MB of text in '
        f'{len(manifest["languages"])} languages and {len(manifest["shards"])} shards; '
        f'{manifest["redactions"]:,} spans redacted; {funnel["repositories"]["read"]:,} repositories read.</p>',
        "<h2>Funnel</h2>", svg(funnel),
        "<h2>Why files are not in it</h2>",
        _table(("stage", "reason"), ("files", "MB"),
               [(r["stage"], r["reason"], f"{r['files']:,}", f"{r['bytes'] / 1e6:,.2f}") for r in funnel["dropped"]]),
        "<h2>Languages</h2>",
        _table(("language",), ("files", "MB", "shards"),
               [(n, f"{e['rows']:,}", f"{e['content_bytes'] / 1e6:,.2f}", str(e["shards"])) for n, e in languages]),
        *(["<h2>Benchmarks found in files that passed all other stages</h2>",
           _table(("benchmark", "largest overlaps"), ("files", "of", "items", "of"), _benchmarks(funnel))]
          if funnel.get("benchmarks") else []),
        *(["<h2>Repositories with errors</h2>", _table(("error",), ("repositories",), [(k, str(v)) for k, v in errors])]
          if errors else []),
        "</body></html>", "",
    ])  # fmt: skip


def _benchmarks(funnel: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return a row per benchmark: name, examples, files, files scanned, items found, items."""
    shown = {
        entry["benchmark"]: "; ".join(
            f"{one['item']} {one['field']} {one['coverage']:.0%} in {one['repo_id']} {one['path']}"
            for one in entry["examples"]
        )
        for entry in funnel["benchmarks"]
    }
    names = ("files", "files_scanned", "items_found", "items")
    return [(e["benchmark"], shown[e["benchmark"]], *(f"{e[n]:,}" for n in names)) for e in funnel["benchmarks"]]


def _table(words: tuple[str, ...], numbers: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in words) + "".join(f'<th class="n">{name}</th>' for name in numbers)
    body = []
    for row in rows:
        cells = [f"<td>{escape(cell)}</td>" for cell in row[: len(words)]]
        cells += [f'<td class="n">{cell}</td>' for cell in row[len(words) :]]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
