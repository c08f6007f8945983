"""ScanCode as a library: loaded once per process, its slow parts replaced, every replacement guarded.

Replaced are the choice of candidate rules (`license_index`), their alignment (`license_alignment`), the arithmetic of
spans (`license_spans`), the joining of two matches of one rule, three properties of a query run that walk the whole
file for every run, and the reading of matched text where it cannot change the answer. Beside that, types of files are
told (`license_filetype`) and what the copyright detector asks is remembered (`license_holders`). Each piece of ScanCode
that is replaced, or whose reading made a replacement sound, is compared with the source that was read: another
ScanCode fails loudly.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import importlib
import inspect
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, reduce
from typing import Any

from stackcurate.errors import MissingDependencyError
from stackcurate.kernels import license_index, license_spans
from stackcurate.kernels.license_alignment import Aligner
from stackcurate.kernels.license_deadline import Deadline

UPSTREAM = {
    "licensedcode.match_set:compute_candidates": "77570776c0727dec",
    "licensedcode.match_set:compare_token_sets": "3a15e8e201d642eb",
    "licensedcode.match_set:filter_dupes": "25437b86d5bb3b5a",
    "licensedcode.query:build_query": "0c1a81d6a2b4a84c",
    "licensedcode.query:Query": "ec284f5d98795a76",
    "licensedcode.query:QueryRun": "c45946444e8cadfe",
    "licensedcode.match_seq:match_sequence": "0ff190df0c3882e6",
    "licensedcode.seq:match_blocks": "3121d7c29961b513",
    "licensedcode.seq:find_longest_match": "d314e1c9bfeca88b",
    "licensedcode.seq:extend_match": "45865aec6761ff18",
    "licensedcode.match:LicenseMatch.update": "b413b7df2e1f707c",
    "licensedcode.match:LicenseMatch.combine": "38f020c3a0c5e802",
    "licensedcode.match:DiscardReason": "0a97c3ac2a3ccdcc",
    "licensedcode.spans:Span": "b894352a95455f8f",
    "licensedcode.index:LicenseIndex.get_approximate_matches": "74146f0738ed1d20",
    "licensedcode.index:LicenseIndex.get_query_run_approximate_matches": "104b986c6261bef2",
    "licensedcode.detection:is_false_positive": "93ff02c4796e9d34",
    "licensedcode.detection:LicenseDetection.from_matches": "41df19cdd39d6b76",
    "licensedcode.detection:process_detections": "a8b398c5d65d0f2f",
    "licensedcode.detection:detect_licenses": "993f92a192b34c6b",
    "typecode.contenttype:Type": "73ccd9ae2ec462b9",
    "textcode.analysis:numbered_text_lines": "01f241dfee2f4bdc",
    "textcode.analysis:break_numbered_unicode_text_lines": "78ec5826da164f3e",
    "cluecode.copyrights:CopyrightDetector": "2dfd3173e0db4a26",
    "cluecode.copyrights:detect_copyrights_from_lines": "91a7f8d2bdd04d97",
    "cluecode.copyrights:collect_candidate_lines": "369d9a629b419cf3",
    "cluecode.copyrights:prepare_text_line": "254f44f5895ac34f",
    "cluecode.copyrights:is_candidate": "8571b59154e423e4",
    "pygmars.lex:Lexer.lex_tokens": "104faad36b50adf5",
    "pygmars.parse:Parser.parse": "c013dfa942f264b0",
    "pygmars.parse:Rule.parse": "1fcc87c318a2262a",
    "pygmars.parse:ParseString": "9766959af7fd63c7",
}
"""SHA-256 of the source of each definition, first 16 digits.

Source: scancode-toolkit 32.5.0.
"""

_LOCK = threading.RLock()
"""The replacements are set on ScanCode's modules: one scan at a time. Threads gain nothing here anyway."""


def digest_of(name: str) -> str:
    """Return the first 16 digits of the SHA-256 of a definition's source.

    Args:
        name: `module:qualified name`.
    """
    module, _, path = name.partition(":")
    found = reduce(getattr, path.split("."), importlib.import_module(module))
    return hashlib.sha256(inspect.getsource(found).encode()).hexdigest()[:16]


def check_upstream(expected: dict[str, str] = UPSTREAM) -> None:
    """Check that the installed ScanCode is the one whose functions are replaced.

    Args:
        expected: digest of each definition.

    Raises:
        MissingDependencyError: a definition differs from the one that was read.
    """
    changed = [name for name, digest in expected.items() if digest_of(name) != digest]
    if changed:
        raise MissingDependencyError(
            f"ScanCode differs from release 32.5.0 in {', '.join(changed)}: "
            "pip install 'scancode-toolkit==32.5.*', or set license_scan.reference=true to run it unmodified and slowly"
        )


@cache
def load() -> Any:
    """Load ScanCode's licence index, once per process, and return its `LicenseCache`.

    A Spark daemon may call this before it forks its workers, which then share the memory: the collector is told
    to leave what was loaded alone.

    Raises:
        MissingDependencyError: ScanCode is not installed or does not start.
    """
    _set_folders()
    zone, collecting = os.environ.get("TZ"), gc.isenabled()
    gc.disable()  # the index is millions of objects and no garbage: loading takes half the time
    try:
        from licensedcode.cache import get_cache

        loaded = get_cache()
    except Exception as error:  # noqa: BLE001 its own loaders raise plain ones, and print the whole environment
        reason = str(error).partition("\n")[0][:120]
        raise MissingDependencyError(
            f"ScanCode does not start ({type(error).__name__}: {reason}): pip install 'stackcurate[scan]', with "
            "'pluggy<1.7'; on a minimal Debian also: apt-get install libgomp1"
        ) from None
    finally:
        if zone is None:  # typecode sets it for the whole process
            os.environ.pop("TZ", None)
        else:
            os.environ["TZ"] = zone
        if collecting:
            gc.enable()
    gc.freeze()
    return loaded


@cache
def load_candidates() -> license_index.Candidates:
    """Build the inverted index over ScanCode's rules, once per process.

    Raises:
        MissingDependencyError: ScanCode is missing, or another release than the one that was read.
    """
    rules = load().index
    check_upstream()
    return license_index.Candidates(rules=license_index.build_rules(rules))


def _set_folders() -> None:
    """Point ScanCode, which makes folders when it is imported, to a private one."""
    wanted = [name for name in ("SCANCODE_TEMP", "SCANCODE_CACHE") if name not in os.environ]
    if wanted:
        folder = tempfile.mkdtemp(prefix="stackcurate-scancode-")
        os.environ.update(dict.fromkeys(wanted, folder))
        atexit.register(_remove, folder, os.getpid())


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked worker that ends leaves it to the others
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(reference: bool, deadline: Deadline | None = None) -> Iterator[None]:
    """Hold ScanCode for one thread, unmodified or with its slow parts replaced.

    Args:
        reference: leave ScanCode as it is.
        deadline: when approximate matching ends; ScanCode itself asks for it between rules only.
    """
    with _LOCK:
        if reference:
            load()
            yield
            return
        candidates = load_candidates()
        aligner = Aligner(legalese=candidates.rules.legalese, is_late=deadline.passed if deadline else _never)
        replacements = _replacements(candidates, aligner)
        originals = [(owner, name, vars(owner)[name]) for owner, name, _ in replacements]
        try:
            for owner, name, replacement in replacements:
                setattr(owner, name, replacement)
            yield
        finally:
            for owner, name, original in originals:
                setattr(owner, name, original)
            candidates.forget()


def _never() -> bool:
    return False


class _Textless:
    """A match whose text is not looked at: getting it walks the file from its start."""

    def __init__(self, match: Any) -> None:
        self._match = match

    def __getattr__(self, name: str) -> Any:
        return getattr(self._match, name)

    @staticmethod
    def matched_text() -> str:
        return ""


def _replacements(candidates: license_index.Candidates, aligner: Aligner) -> list[tuple[Any, str, Any]]:
    """Return owner, name and replacement of each piece of ScanCode that is replaced."""
    from licensedcode import detection, match_seq, match_set
    from licensedcode.match import LicenseMatch
    from licensedcode.query import QueryRun
    from licensedcode.spans import Span

    return [
        *((Span, name, method) for name, method in license_spans.methods().items()),
        (match_set, "compute_candidates", candidates.compute),
        (match_seq, "match_sequence", aligner.match_sequence),
        (LicenseMatch, "update", _lean_update(LicenseMatch.update)),
        (QueryRun, "is_digits_only", _is_digits_only),
        (QueryRun, "high_matchables", _part_of_query("high_matchables")),
        (QueryRun, "low_matchables", _part_of_query("low_matchables")),
        (detection, "is_false_positive", _lazy_false_positive(detection.is_false_positive)),
        (detection.LicenseDetection, "identifier_with_expression", None),
    ]


def _lazy_false_positive(is_false_positive: Callable[..., bool]) -> Callable[..., bool]:
    """Read matched text only where it decides: copyright words can turn True into False and nothing else."""

    def false_positive(license_matches: list[Any], package_license: bool = False) -> bool:
        textless = [_Textless(match) for match in license_matches]
        return is_false_positive(textless, package_license) and is_false_positive(license_matches, package_license)

    return false_positive


def _lean_update(update: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Join two matches of one rule by one matcher without a third, and without comparing the rule with itself."""

    def lean_update(self: Any, other: Any) -> Any:
        if self.discard_reason or self.rule is not other.rule or other.matcher not in self.matcher:
            return update(self, other)
        self.qspan |= other.qspan
        self.ispan |= other.ispan
        self.hispan |= other.hispan
        self.query_run_start = min(self.query_run_start, other.query_run_start)
        return self

    return lean_update


def _is_digits_only(run: Any) -> bool:
    """Stop at the first token that is no number."""
    tokens, digits = run.query.tokens, run.digit_only_tids
    return run.end is None or all(tokens[at] in digits for at in range(run.start, run.end + 1))


def _part_of_query(name: str) -> property:
    """Cut the run's positions out of the query's; ScanCode walks those of the whole file for every run."""
    cached = f"_{name}"

    def positions(run: Any) -> Any:
        if not getattr(run, cached):
            whole = getattr(run.query, name)
            setattr(run, cached, whole & type(whole)(range(run.start, run.end + 1)))
        return getattr(run, cached)

    return property(positions)
