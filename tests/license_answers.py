"""What unmodified ScanCode answers on real files, recorded.

`python -m tests.license_answers --write` records it anew, in three quarters of an hour.
The files are those of the packages that the lock file pins, so that they are the same wherever it was installed. Of
each the record has a digest of its content and two digests of the answer: of the whole JSON of
`scancode.api.get_licenses`, and of what `license_scan` keeps of it. A detection's `identifier` is left out of the JSON:
it is a hash of rules, scores and matched text, which we do not compute.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stackcurate.kernels import license_names

ANSWERS = Path(__file__).parent / "data" / "license_answers.tsv"
SITE = Path(sysconfig.get_paths()["purelib"])
FILES = 5_300
"""Files to record."""
PER_SUFFIX = 1_500
"""Files of one suffix at most."""
LARGEST, LARGEST_OF_MOST = 200_000, 5_000
"""Bytes of the largest file, and of the largest of 39 in forty that are no licence files: size is what the
unmodified tool spends its time on."""
KEPT = ("license_expression_spdx", "rule_identifier", "matcher", "score", "match_coverage", "start_line", "end_line")
"""Fields of a match that `license_scan` keeps."""


class Answer(NamedTuple):
    """One line of the record: path below site-packages and digests; `whole` and `kept` of what was found."""

    path: str
    content: str
    whole: str
    kept: str


def digest(value: Any) -> str:
    """Return the first 12 digits of a SHA-256, of bytes or of anything as JSON."""
    data = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()[:12]


def whole_answer(location: Path) -> dict[str, Any]:
    """Return the JSON of ScanCode as it now is, unmodified or not, less the identifiers of detections."""
    from scancode.api import get_licenses

    found: dict[str, Any] = get_licenses(str(location))
    for detection in found["license_detections"]:
        del detection["identifier"]
    return found


def kept_of(answer: dict[str, Any]) -> list[list[Any]]:
    """Return the matches of ScanCode's JSON, in an order of ours."""
    detected = [match for detection in answer["license_detections"] for match in detection["matches"]]
    return in_order([match[name] for name in KEPT] for match in detected + answer["license_clues"])


def kept_of_facts(detections: list[dict[str, Any]]) -> list[list[Any]]:
    """Return the matches of a row of `license_detections` in the same form."""
    names = ("expression", "rule", "matcher", "score", "coverage", "start_line", "end_line")
    return in_order([match[name] for name in names] for match in detections)


def in_order(matches: Iterable[list[Any]]) -> list[list[Any]]:
    """Round scores as ScanCode does, since facts hold them in four bytes, and sort."""
    return sorted(([round(v, 2) if isinstance(v, float) else v for v in match] for match in matches), key=repr)


def recorded() -> list[Answer]:
    """Return the record, less the files that are absent here or differ."""
    with ANSWERS.open(encoding="utf-8", newline="") as file:
        answers = [Answer(*row) for row in csv.reader(file, delimiter="\t")]
    return [each for each in answers if (SITE / each.path).is_file() and digest(read(each.path)) == each.content]


def read(path: str) -> bytes:
    """Return the content of a file by its path below site-packages."""
    return (SITE / path).read_bytes()


def chosen() -> list[str]:
    """Return paths of real files in random order, but the same in the same environment; each content once."""
    paths = [path.relative_to(SITE).as_posix() for path in SITE.rglob("*") if path.is_file()]
    order = sorted((path for path in paths if is_candidate(path)), key=lambda path: digest(path.encode()))
    texts = {digest(read(path)): path for path in reversed(order) if b"\0" not in read(path)}
    legal = [path for path in texts.values() if is_legal(path)]
    room = Counter[str]()
    others = []
    for path in sorted(set(texts.values()) - set(legal), key=lambda path: digest(path.encode())):
        room[Path(path).suffix] += 1
        if room[Path(path).suffix] <= PER_SUFFIX:
            others.append(path)
    return sorted(legal + others[: FILES - len(legal)], key=lambda path: digest(path.encode()))


def is_legal(path: str) -> bool:
    """Say whether a file has the name of a licence or a notice."""
    return license_names.is_license_name(path) or license_names.is_notice_name(path)


def is_candidate(path: str) -> bool:
    """Say whether a file is one that an installation does not write itself, and small enough."""
    generous = is_legal(path) or digest(path.encode()) < "066"  # one in forty
    if "licensedcode/data" in path or "__pycache__" in path:
        return False
    if ".dist-info/" in path and not is_legal(path) and not path.endswith("/METADATA"):
        return False
    return 0 < (SITE / path).stat().st_size <= (LARGEST if generous else LARGEST_OF_MOST)


def record() -> Iterator[Answer]:
    """Yield the answers of unmodified ScanCode."""
    for path in chosen():
        answer = whole_answer(SITE / path)
        yield Answer(path, digest(read(path)), digest(answer), digest(kept_of(answer)))


def write() -> None:
    """Record the answers anew; each as soon as it is known."""
    ANSWERS.parent.mkdir(exist_ok=True)
    with ANSWERS.open("w", encoding="utf-8", newline="") as file:
        for answer in record():
            csv.writer(file, delimiter="\t", lineterminator="\n").writerow(answer)
            file.flush()


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        sys.exit("usage: python -m tests.license_answers --write")
