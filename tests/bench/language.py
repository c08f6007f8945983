"""Languages: files per CPU second on ordinary code, and errors on the extensions that several languages share.

The code is that of installed packages and of this system. The errors are counted on Linguist's own samples, of which
`LINGUIST` names a checkout: no package carries them. Ours are leave-one-out: a sample that the classifier decides is
classified by centroids of all samples but itself. The peers were trained on what they are asked.
"""

from __future__ import annotations

import math
import os
import sysconfig
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import yaml

from stackcurate.kernels.content import decode
from stackcurate.kernels.language import detect
from stackcurate.kernels.language_context import repository_context
from stackcurate.kernels.language_heuristics import load, suffixes
from stackcurate.kernels.language_strategies import STRATEGIES
from stackcurate.kernels.language_tokens import tokens
from tests.bench.build import say
from tests.bench.language_peers import detected
from tests.bench.malware import SCALE, benign
from tests.bench.measure import Line

FILES, PEER_FILES, BATCH = 20_000, {"go-enry": 4_000, "magika": 500}, 500
SPEED, ERRORS = 15_000, 10
OPEN = ("classifier", "repository", "open")
CODE = (
    ".py", ".pyi", ".c", ".h", ".cpp", ".hpp", ".js", ".ts", ".java", ".go", ".rs", ".sh", ".css", ".html", ".json",
    ".md",
)  # fmt: skip
"""Extensions of ordinary code, and of what lies beside it."""
Sample = tuple[str, Path]
"""Language and file."""


def run() -> Iterator[Line]:
    """Measure ourselves, then go-enry and Magika on fewer of the same files."""
    files = [path for path in benign(10**9) if path.suffix in CODE][: int(FILES * SCALE)]
    say(f"{len(files):,} files, {sum(path.stat().st_size for path in files) / 1e6:,.0f} MB")
    yield Line("language", "language_files_per_cpu_s", "stackcurate", _speed(files), "files/CPU-s", SPEED)
    for peer, number in PEER_FILES.items():
        some = files[: int(number * SCALE)]
        yield Line("language", "language_files_per_cpu_s", peer, len(some) / detected(peer, some)[0], "files/CPU-s")
    checkout = os.environ.get("LINGUIST")
    if not checkout:
        say("no errors counted: set LINGUIST to a checkout of github-linguist/linguist")
        return
    yield from _errors(samples(Path(checkout)))


def _speed(files: Sequence[Path]) -> float:
    """Return how many files a CPU second takes, their context included, without reading them."""
    root = Path(sysconfig.get_path("purelib"))
    paths = [path.relative_to(root if path.is_relative_to(root) else "/").as_posix() for path in files]
    contents = [path.read_bytes() for path in files]
    detect(paths[:BATCH], contents[:BATCH])
    batches = [pa.array(contents[i : i + BATCH], pa.binary()) for i in range(0, len(contents), BATCH)]
    started = time.process_time()
    context = repository_context(paths, {})
    for number, batch in enumerate(batches):
        part = slice(number * BATCH, number * BATCH + len(batch))
        detect(paths[part], batch, context[part])
    return len(files) / (time.process_time() - started)


def samples(checkout: Path) -> list[Sample]:
    """Return Linguist's samples with the language that their folder names."""
    listed = yaml.safe_load((checkout / "lib" / "linguist" / "languages.yml").read_text(encoding="utf-8"))
    folders = {language.get("fs_name", name): name for name, language in listed.items()}
    found = sorted(path for path in (checkout / "samples").rglob("*") if path.is_file())
    return [(folders[path.relative_to(checkout / "samples").parts[0]], path) for path in found]


def _errors(known: Sequence[Sample]) -> Iterator[Line]:
    rules = load()
    shared = [one for one in known if any(len(rules.extensions.get(end, ())) > 1 for end in suffixes(one[1].name))]
    say(f"{len(known):,} samples, {len(shared):,} with an extension that languages share")
    wrong = leave_one_out(known)
    for language, path in wrong:
        say(f"wrong: {path.name}, {language}")
    yield Line("language", "language_ambiguous_errors", "stackcurate", len(wrong), "files", ERRORS)
    for peer in PEER_FILES:
        _, found = detected(peer, [path for _, path in shared])
        names = {name.lower(): name for name in rules.types} | dict(rules.aliases)
        missed = sum(names.get(name.lower()) != language for (language, _), name in zip(shared, found, strict=True))
        yield Line("language", "language_ambiguous_errors", peer, missed, "files")


def leave_one_out(known: Sequence[Sample]) -> list[Sample]:
    """Return the samples that are named wrongly where the classifier has not seen them."""
    texts = [decode(path.read_bytes())[0] or "" for _, path in known]
    rows = detect([path.name for _, path in known], texts).to_pylist()
    training = Training([language for language, _ in known], [tokens(text) for text in texts])
    wrong = []
    for i, (language, path) in enumerate(known):
        named = rows[i]["language"]
        if rows[i]["strategy"] in OPEN:
            near = {name: training.nearness(i, name) for name in candidates(path.name, texts[i])}
            named = max(near, key=lambda name: near[name])
        if named != language:
            wrong.append((language, path))
    return wrong


def candidates(name: str, text: str) -> tuple[str, ...]:
    """Return the languages that Linguist's strategies leave."""
    left: tuple[str, ...] = ()
    for find in STRATEGIES.values():
        left = find(name, text, left, load()) or left
    return left


class Training:
    """Linguist's classifier, trained on all samples but one.

    Source: Linguist, classifier.rb: log term frequency, inverse class frequency, tokens of two samples or more.
    """

    def __init__(self, languages: Sequence[str], counts: Sequence[Counter[str]]) -> None:
        """Count the samples and languages that each token occurs in."""
        self._counts = counts
        self._samples: dict[str, list[int]] = defaultdict(list)
        self._classes: dict[str, Counter[str]] = defaultdict(Counter)
        self._languages = languages
        for i, language in enumerate(languages):
            self._samples[language].append(i)
            for token in counts[i]:
                self._classes[token][language] += 1

    def nearness(self, left_out: int, language: str) -> float:
        """Return the cosine of a sample and the centroid of a language that has not seen it."""
        vector = self._vector(left_out, left_out)
        centroid: Counter[str] = Counter()
        for j in self._samples[language]:
            if j != left_out:
                centroid.update(self._vector(j, left_out))
        return sum(value * centroid[token] for token, value in vector.items()) / (math.hypot(*centroid.values()) or 1)

    def _vector(self, i: int, left_out: int) -> dict[str, float]:
        weights = {token: self._rarity(token, left_out) for token in self._counts[i]}
        vector = {token: (1 + math.log(n)) * weights[token] for token, n in self._counts[i].items() if weights[token]}
        length = math.hypot(*vector.values())
        return {token: value / length for token, value in vector.items()}

    def _rarity(self, token: str, left_out: int) -> float:
        classes, own = self._classes[token], self._languages[left_out]
        seen = token in self._counts[left_out]
        number = len(classes) - (seen and classes[own] == 1)
        return math.log(len(self._samples) / number) + 1 if classes.total() - seen > 1 else 0.0
