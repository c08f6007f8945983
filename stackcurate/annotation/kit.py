"""Kit: an evaluation set for detectors of personal data, made of pages that people have labelled.

Rows have the shape of BigCode's annotated set: text, type, language and fragments. Source: the card of
`bigcode/bigcode-pii-dataset`. Repositories, not rows, are split, so that no split knows another's persons.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from stackcurate.annotation.review import Row
from stackcurate.errors import ConfigError

SPLITS = ("train", "validation", "test")
_SHARES = (0.6, 0.8, 1.0)
"""Where each split ends on the line of hashes."""


def write_kit(folder: Path, rows: Iterable[Row]) -> dict[str, int]:
    """Write the labelled pages of a sheet as an evaluation set: a file per split, hashes, a card for gated access.

    Args:
        folder: a new or empty one.
        rows: of `read_sheet`; only pages that are `done` count.

    Returns:
        Number of rows in each split.

    Raises:
        ConfigError: the folder holds something, or no page has been labelled.
    """
    examples = [example(row) for row in rows if row["kind"] == "page" and row["label"] == "done"]
    if not examples:
        raise ConfigError("--kit: expected pages with the label `done`, found none; label those of --review first")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder}: expected a new or empty folder")
    (folder / "data").mkdir(parents=True, mode=0o700, exist_ok=True)
    digests, counts = {}, {}
    for split in SPLITS:
        own = sorted((row for row in examples if row["split"] == split), key=lambda row: str(row["id"]))
        lines = "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in own).encode()
        _write(folder / "data" / f"{split}.jsonl", lines)
        digests[f"data/{split}.jsonl"], counts[split] = hashlib.sha256(lines).hexdigest(), len(own)
    categories = Counter(fragment["category"] for row in examples for fragment in row["fragments"])
    languages = Counter(str(row["language"]) for row in examples)
    manifest = {"sha256": digests, "rows": counts, "categories": dict(sorted(categories.items())),
                "languages": dict(sorted(languages.items()))}  # fmt: skip
    _write(folder / "manifest.json", (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    _write(folder / "README.md", card(counts, categories, languages).encode())
    return counts


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)


def example(page: Row) -> Row:
    """Return a labelled page as a row of the set; fragments are in characters, in order of position."""
    kept = [fragment for fragment in page["fragments"] if fragment["label"] == "right"]
    found = {(f["category"], *f["position"]): f["value"] for f in kept}
    for missed in page["missed"]:
        start = page["text"].find(missed["value"])
        while start >= 0:
            found[missed["category"], start, start + len(missed["value"])] = missed["value"]
            start = page["text"].find(missed["value"], start + len(missed["value"]))
    fragments = [
        {"category": category, "position": [start, end], "value": value}
        for (category, start, end), value in sorted(found.items(), key=lambda item: item[0][1:])
    ]
    return {
        "id": page["id"], "text": page["text"], "type": "with_pii" if fragments else "without_pii",
        "language": page["language"], "fragments": fragments, "split": split_of(page["repo_id"]),
    }  # fmt: skip


def split_of(repo_id: str) -> str:
    """Return the split of a repository, by its hash.

    >>> split_of("acme/tool") in SPLITS
    True
    """
    place = int.from_bytes(hashlib.sha256(repo_id.encode()).digest()[:8], "big") / 2**64
    return next(split for split, end in zip(SPLITS, _SHARES, strict=True) if place < end)


def card(rows: dict[str, int], categories: Counter[str], languages: Counter[str]) -> str:
    """Return the card: metadata that has a host ask before it gives access, and what the set is for."""
    files = "\n".join(f"  - split: {split}\n    path: data/{split}.jsonl" for split in SPLITS)
    table = "\n".join(f"| {category} | {count} |" for category, count in sorted(categories.items()))
    spoken = ", ".join(f"{language} {count}" for language, count in sorted(languages.items()))
    return _CARD.format(files=files, total=sum(rows.values()), table=table, languages=spoken,
                        splits=", ".join(f"{split} {count}" for split, count in rows.items()))  # fmt: skip


_CARD = """---
license: other
task_categories: [token-classification]
extra_gated_prompt: >-
  This set holds personal data of people who published code. You may use it to develop and to evaluate detectors
  of personal data, and for nothing else. You do not pass it on, do not look for the people in it, keep it where
  only you can read it, and delete it when you are done or when its publisher asks you to.
extra_gated_fields:
  Name: text
  Affiliation: text
  What it is needed for: text
  I agree to these terms: checkbox
configs:
- config_name: default
  data_files:
{files}
---
# Personal data in code: an annotated evaluation set

{total} pages of source files ({splits}). Detectors proposed fragments, people struck out the wrong ones and added
the missing ones. All pages of a repository are in one split. `manifest.json` holds the SHA-256 of each file.

| column | what |
|---|---|
| id | blob and bytes of the page |
| text | the page |
| type | `with_pii` or `without_pii` |
| language | as Linguist spells it |
| fragments | category, position in characters (start, end), value |

| category | fragments |
|---|---|
{table}

Languages: {languages}.

## Access

Do not publish this folder as it is open to everybody: the people in it did not ask to be in a list. Whoever asks to
be taken out is taken out, and the set is published anew.
"""
