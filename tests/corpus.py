"""Generated repositories and archives with a known answer for every file in them.

    corpus = write_corpus(folder)
    corpus.answers["atlas", "src/tides.py"]    # what a release must decide on this file

The bytes are the same on every run. Nothing is fetched, so that the demo can run on it without a network.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests import corpus_text as text
from tests.corpus_text import Fakes, author_note, c, javascript, license_text, markdown, personal_module, python
from tests.corpus_writers import Answer, Tree, Writer, folder_of, garbled, git, hollow, tar, truncated, zip_


@dataclass(frozen=True)
class Corpus:
    """What was written.

    Args:
        folder: holds the inputs; to be given as `sources.inputs`.
        requests: the file of opt-out requests, to be given as `opt_outs.requests`.
        answers: by input and path: `repos.source` and `files.path`.
        repositories: by input: `repos.repo_id` and `repos.error`.
    """

    folder: Path
    requests: Path
    answers: Mapping[tuple[str, str], Answer]
    repositories: Mapping[str, tuple[str, str | None]]


KEPT = Answer()
COPY, NEAR = Answer("near_dups", "exact_duplicate"), Answer("near_dups", "near_duplicate")
COPYLEFT, VENDORED = Answer("licenses", "license_copyleft"), Answer("licenses", "vendored_unlicensed")
UNKNOWN, BINARY = Answer("language", "unknown_language"), Answer("quality", "binary")
OPTED_OUT = Answer("opt_outs", "opted_out")


def write_corpus(folder: Path) -> Corpus:
    """Write all inputs and the opt-out requests into a folder; what an earlier call wrote there is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    answers: dict[tuple[str, str], Answer] = {}
    repositories: dict[str, tuple[str, str | None]] = {}
    for name, (repo_id, error, write, day) in _INPUTS.items():
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        seconds = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
        for file, answer in write(path, int(seconds)).items():
            answers[name, file] = answer
        repositories[name] = repo_id, error
        os.utime(path, (seconds, seconds))
    requests = folder / "opt_outs.csv"
    requests.write_text(
        "kind,value,requested_at,state\nowner,@Octo-Left,2024-05-01,\nowner,acme,2024-05-02,withdrawn\n"
    )
    return Corpus(folder, requests, answers, repositories)


# --- trees: path -> content and answer ------------------------------------------------------------------------


def _atlas() -> Tree:
    """MIT, with a GPL header, a choice in a header, vendored code, a link, a submodule; newest of all MIT texts."""
    mit = "SPDX-License-Identifier: " + "MIT"
    return {
        "LICENSE": (license_text("mit", "Atlas Contributors"), KEPT),
        "README.md": (markdown("Atlas"), KEPT),
        "readme.md": (markdown("Atlas on another file system"), KEPT),
        ".gitignore": (b"build/\n*.egg-info/\nnode_modules/\n", KEPT),
        "src/tides.py": (python("tides"), KEPT),
        "src/currents.py": (python("currents", note=f"# {mit}\n"), KEPT),
        "src/waves.py": (python("waves", note=f"# {mit}\n"), KEPT),
        "src/charts.c": (c("charts", note=f"/* {mit} */\n"), KEPT),
        "src/charts.h": (b"#ifndef CHARTS_H\n#define CHARTS_H\nlong chart_depth(long where);\n#endif\n", KEPT),
        "src/legacy.c": (c("legacy", note=text.GPL_NOTICE), COPYLEFT),
        "src/choice.c": (c("choice", note=f"/* {mit} OR GPL-2.0-only */\n"), KEPT),
        "web/map.js": (javascript("map"), KEPT),
        "web/legend.js": (javascript("legend"), KEPT),
        "shared/compass.py": (python("compass"), KEPT),
        "vendor/sounding/COPYING": (license_text("gpl-3.0"), COPYLEFT),
        "vendor/sounding/sounding.c": (c("sounding"), COPYLEFT),
        "third_party/widget/widget.js": (javascript("widget"), VENDORED),
    }


def _harbor() -> Tree:
    """Apache; holds copies of files of `atlas`, which is newer, and of an owner who opted out."""
    return {
        "LICENSE": (license_text("apache-2.0"), KEPT),
        "README.md": (markdown("Harbor"), KEPT),
        "harbor/__init__.py": (b"", Answer("quality", "empty")),
        "harbor/docks.py": (python("docks", note=author_note()), KEPT),
        "harbor/cranes.py": (python("cranes"), KEPT),
        "harbor/compass.py": (python("compass"), COPY),
        "harbor/moorings.py": (python("diary"), KEPT),
        "native/winch.c": (c("winch"), KEPT),
        "native/rope.c": (c("rope"), KEPT),
        "site/port.js": (javascript("port"), KEPT),
    }


def _tidepool(version: str) -> Tree:
    """Two adjacent releases under BSD: what is equal or nearly so stays in the newer one."""
    new = version == "1.5.0"
    old_copy, old_near = (KEPT, KEPT) if new else (COPY, NEAR)
    crabs = python("crabs", 20)
    if new:
        crabs += b"\n\ndef molt(shell):\n    return shell + 1\n"
    manifest = f"Metadata-Version: 2.4\nName: tidepool\nVersion: {version}\nLicense-Expression: BSD-3-Clause\n"
    build = f'[project]\nname = "tidepool"\nversion = "{version}"\nlicense = "BSD-3-Clause"\n'
    shrimps = {"tidepool/shrimps.py": (python("shrimps"), KEPT)} if new else {}
    return shrimps | {
        "PKG-INFO": (manifest.encode(), UNKNOWN),
        "LICENSE": (license_text("bsd-new", "Tidepool Keepers"), old_copy),
        "pyproject.toml": (build.encode(), KEPT),
        "tidepool/crabs.py": (crabs, old_near),
        "tidepool/snails.py": (python("snails"), old_copy),
        "tidepool/algae.py": (python(f"algae {version}"), KEPT),
        "tidepool/_fast.c": (c("fast"), old_copy),
    }


def _quill() -> Tree:
    """An npm package: its manifest is all that says MIT."""
    manifest = b'{\n "name": "@inkwell/quill-kit",\n "version": "2.1.0",\n "license": "MIT",\n "main": "index.js"\n}\n'
    minified = b"'use strict';" + b"".join(javascript(f"min {i}").replace(b"\n", b" ") for i in range(8)) + b"\n"
    return {
        "package.json": (manifest, KEPT),
        "index.js": (javascript("index"), KEPT),
        "lib/nib.js": (javascript("nib"), KEPT),
        "lib/paper.js": (javascript("paper"), KEPT),
        "lib/banner.js": (b"// This file is generated by a tool.\n" + javascript("banner"), _generated()),
        "dist/quill.min.js": (minified, _generated()),
    }


def _generated() -> Answer:
    return Answer("quality", "generated")


def _marble() -> Tree:
    """A wheel under Apache, older than `harbor`, whose licence text is the same."""
    info = "marble-0.3.0.dist-info"
    manifest = b"Metadata-Version: 2.4\nName: marble\nVersion: 0.3.0\nLicense-Expression: Apache-2.0\n"
    return {
        "marble/veins.py": (python("veins"), KEPT),
        "marble/polish.py": (python("polish"), KEPT),
        f"{info}/METADATA": (manifest, UNKNOWN),
        f"{info}/WHEEL": (b"Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n", UNKNOWN),
        f"{info}/RECORD": (b"marble/veins.py,,\nmarble/polish.py,,\n", UNKNOWN),
        f"{info}/licenses/LICENSE": (license_text("apache-2.0"), COPY),
    }


def _all(answer: Answer, files: Mapping[str, bytes]) -> Tree:
    return {path: (content, answer) for path, content in files.items()}


def _gnu() -> Tree:
    manifest = b"Metadata-Version: 2.4\nName: copperleaf\nVersion: 1.0\nLicense-Expression: GPL-3.0-or-later\n"
    files = {"PKG-INFO": manifest, "COPYING": license_text("gpl-3.0"), "copperleaf/leaf.py": python("leaf")}
    return _all(COPYLEFT, {**files, "copperleaf/stem.py": python("stem"), "copperleaf/root.c": c("root")})


def _unlicensed() -> Tree:
    files = {"README.md": markdown("Sextant"), "angle.py": python("angle"), "horizon.js": javascript("horizon")}
    return _all(Answer("licenses", "no_license"), {**files, "mirror.c": c("mirror")})


def _reserved() -> Tree:
    notice = b"Copyright (c) 2019 Folio Press. All rights reserved.\n"
    files = {"LICENSE": notice, "page.py": python("page"), "binding.js": javascript("binding")}
    return _all(Answer("licenses", "explicit_denial"), files)


def _no_learning() -> Tree:
    rider = b"\nThe Software may not be used to train machine learning models.\n"
    files = {"LICENSE": license_text("mit", "Hermit Labs") + rider, "shell.py": python("shell"), "claw.c": c("claw")}
    return _all(Answer("licenses", "needs_review"), files)


def _private() -> Tree:
    """MIT: personal data and secrets are redacted, malicious content and benchmarks are dropped."""
    who = (Fakes.name, Fakes.email, Fakes.address, Fakes.key_id)
    attack = "\nif access != 'none\u202e \u2066# only for members\u2069 \u2066':\n    grant = True\n"
    return {
        "LICENSE": (license_text("mit", "Driftwood Collective"), NEAR),
        "contacts.py": (personal_module(), Answer(gone=who)),
        "vault.py": (text.pem_module(), Answer(gone=(Fakes.pem_body.splitlines()[1],))),
        "plain.py": (python("plain"), KEPT),
        "samples/virus.txt": (text.EICAR, Answer("malware", "malware_drop")),
        "samples/order.py": (python("order") + attack.encode(), Answer("malware", "malware_quarantine")),
        "samples/plain.py": (python("plain") + attack.encode(), NEAR),  # `plain.py` stands for it, so nobody scans it
        "samples/adder.py": (text.BENCHMARK_ITEM, Answer("contamination", "contaminated")),
    }


def _bytes_of_all_kinds() -> Tree:
    """MIT: encodings, binary content and measures that no policy keeps."""
    latin = python("latin").replace(b"import math", b"# caf\xe9, na\xefve\nimport math")
    row = b"TABLE = [" + b", ".join(b"%d" % (i * 7919 % 1000) for i in range(1000)) + b"]\n"
    assert len(row) > 4500
    return {
        "LICENSE": (license_text("mit", "Flotsam Society"), NEAR),
        "latin.py": (latin, KEPT),
        "wide.cs": (("\ufeff" + _CSHARP).encode("utf-16-le"), KEPT),
        "marked.py": (b"\xef\xbb\xbf" + python("marked"), KEPT),
        "windows.py": (python("windows").replace(b"\n", b"\r\n"), KEPT),
        "table.py": (row, Answer("quality", "long_line")),
        "empty.py": (b"", Answer("quality", "empty")),
        "nuls.py": (python("nuls") + b"\0\0\0\n", BINARY),
        "model.pkl": (text.PICKLE, BINARY),
        "icon.png": (text.PNG, BINARY),
        "MYSTERY": (b"no rule knows what this is\n", UNKNOWN),
    }


_CSHARP = """using System;

namespace Drift
{
    public static class Wood
    {
        public static int Float(int mass, int volume) => mass < volume ? volume - mass : 0;
    }
}
"""


def _hostile() -> Tree:
    return {"nasty-1.0/LICENSE": (license_text("mit", "Nobody"), NEAR), "nasty-1.0/fine.py": (python("fine"), KEPT)}


def _left() -> Tree:
    files = {"LICENSE": license_text("mit", "Octo Left"), "diary.py": python("diary"), "notes.js": javascript("notes")}
    return _all(OPTED_OUT, files)


_INPUTS: dict[str, tuple[str, str | None, Writer, str]] = {
    "atlas": ("git/acme/atlas", None, git(_atlas(), "acme", bare=False, links=True), "2024-03-01"),
    "harbor.git": ("git/harbor-io/harbor", None, git(_harbor(), "harbor-io", bare=True), "2024-02-01"),
    "tidepool-1.4.0.tar.gz": ("pypi/tidepool", None, tar(_tidepool("1.4.0"), "tidepool-1.4.0/"), "2023-05-01"),
    "tidepool-1.5.0.tar.gz": ("pypi/tidepool", None, tar(_tidepool("1.5.0"), "tidepool-1.5.0/"), "2023-06-01"),
    "quill-kit-2.1.0.tgz": ("npm/@inkwell/quill-kit", None, tar(_quill(), "package/"), "2022-04-01"),
    "marble-0.3.0-py3-none-any.whl": ("pypi/marble", None, zip_(_marble()), "2021-07-01"),
    "copperleaf-1.0.tar.gz": ("pypi/copperleaf", None, tar(_gnu(), "copperleaf-1.0/"), "2020-01-01"),
    "sextant.zip": ("local/sextant", None, zip_(_unlicensed()), "2020-02-01"),
    "folio": ("local/folio", None, folder_of(_reserved()), "2020-03-01"),
    "hermit": ("local/hermit", None, folder_of(_no_learning()), "2020-04-01"),
    "driftwood": ("local/driftwood", None, folder_of(_private()), "2020-05-01"),
    "flotsam": ("local/flotsam", None, folder_of(_bytes_of_all_kinds()), "2020-06-01"),
    "nasty-1.0.tar.gz": ("local/nasty", None, tar(_hostile(), "", hostile=True), "2020-07-01"),
    "thoughts": ("git/octo-left/thoughts", None, git(_left(), "octo-left", bare=False), "2024-04-01"),
    "hollow": ("git/hollow", "no_head", hollow, "2020-08-01"),
    "garbled.tar.gz": ("local/garbled", "corrupt_archive", garbled, "2020-09-01"),
    "torn.tar.gz": ("local/torn", "corrupt_archive", truncated, "2020-10-01"),
}
"""Inputs: repo_id, error, writer, date."""
