"""Inputs that are dear to scan: lists of licences, lock files, long lines, repetitions."""

from __future__ import annotations

import json
import random
from functools import cache
from itertools import cycle, islice
from pathlib import Path


@cache
def licence_texts() -> dict[str, str]:
    """Return the texts of ScanCode's licences by key."""
    import licensedcode

    folder = Path(licensedcode.__file__).parent / "data" / "licenses"
    parts = {path.stem: path.read_text(encoding="utf-8").split("---\n", 2) for path in sorted(folder.glob("*.LICENSE"))}
    return {key: text[2] for key, text in parts.items() if len(text) == 3 and text[2].strip()}


def license_list(size: int) -> str:
    """Return a JSON list of licences, as SPDX publishes one, cut at a size."""
    records = [
        {"licenseId": key, "name": key.replace("-", " ").title() + " License", "isOsiApproved": True}
        for key in islice(cycle(licence_texts()), size // 100)
    ]
    return json.dumps(records, indent=2)[:size]


def lock_file(size: int) -> str:
    """Return a package-lock.json, cut at a size."""
    rng = random.Random(1)
    names = ["MIT", "ISC", "BSD-3-Clause", "Apache-2.0", "(MIT OR CC0-1.0)"]
    packages = {
        f"node_modules/p{n}": {"version": f"1.0.{n}", "integrity": f"sha512-{n:086x}", "license": rng.choice(names)}
        for n in range(size // 150)
    }
    return json.dumps({"packages": packages}, indent=2)[:size]


def dear_inputs(size: int) -> dict[str, tuple[str, str]]:
    """Return texts of a size and the kind of file that each is read as, by name."""
    texts = licence_texts()
    words = " ".join(text for key, text in texts.items() if key.startswith("gpl")).split()
    random.Random(1).shuffle(words)
    code = Path(__file__).read_text(encoding="utf-8")

    def repeated(text: str) -> str:
        return (text * (size // len(text) + 1))[:size]

    return {
        "list of licences": (license_list(size), ".json"),
        "lock file": (lock_file(size), ".json"),
        "licences in one line": (json.dumps(texts)[:size], ".json"),
        "all licences": ("\n\n".join(texts.values())[:size], "LICENSE"),
        "words of the GPL, shuffled": (repeated(" ".join(words)), ".txt"),
        "names of licences": (repeated(" ".join(texts)), ".txt"),
        "one word": (repeated("gpl "), ".txt"),
        "tags": (repeated("# SPDX-License-Identifier: MIT\n"), ".py"),
        "one line of code": (repeated(code.replace("\n", ";")), ".min.js"),
        "copyright lines": (repeated("Copyright (c) 2020 Example Person and Example Company Inc.\n"), "LICENSE"),
    }
