"""Copyright holders by ScanCode's detector, which asks the same questions again and again, with the answers kept.

It finds the label of each word by trying a thousand patterns, and the structure of each statement by trying four
hundred rules, for each of which it writes the statement's labels out anew. Here a word and a line are looked up once,
and a rule that fits nowhere costs one search. What a rule that fits does is left to ScanCode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from typing import Any

from stackcurate.kernels.license_deadline import Deadline

LONGEST_WORD, LONGEST_LINE, LONGEST_STATEMENT = 64, 128, 2_048
"""Characters of the longest word, the longest line and the labels of the longest statement that are kept."""
_WORDS, _LINES, _STATEMENTS = 32_768, 16_384, 8_192
"""How many of each are kept."""


def holders(location: str, size: int, deadline: Deadline, *, reference: bool = False) -> list[str]:
    """Return the copyright holders that a file names, each once, in order of their lines.

    Args:
        location: path of the file.
        size: how many characters of it are searched, to the end of a line.
        deadline: when no further statement is looked at.
        reference: run ScanCode's detector unmodified.
    """
    from cluecode import copyrights
    from textcode.analysis import numbered_text_lines

    lines = list(_first(numbered_text_lines(location, demarkup=True), size))
    wanted = {"include_copyrights": False, "include_authors": False}
    if reference:
        found = copyrights.detect_copyrights_from_lines(lines, deadline=deadline, **wanted)
    else:
        found = _detected(_candidates(lines), deadline, wanted)
    return list(dict.fromkeys(detection.holder for detection in found))


def _first(lines: Iterable[tuple[int, str]], size: int) -> Iterator[tuple[int, str]]:
    """Yield lines until their length adds up to a size in characters."""
    for number, line in lines:
        size -= len(line)
        if size < 0:
            return
        yield number, line


def _detected(groups: Iterable[list[tuple[int, str]]], deadline: Deadline, wanted: dict[str, bool]) -> Iterator[Any]:
    for lines in groups:
        yield from load().detect(lines, **wanted)
        if deadline.passed():
            return


def _candidates(lines: list[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    """Return the groups of lines that may hold statements; what ScanCode makes of a line depends on nothing else."""
    from cluecode import copyrights

    originals = {name: getattr(copyrights, name) for name in ("prepare_text_line", "is_candidate")}
    try:
        for name, original in originals.items():
            setattr(copyrights, name, _remembering(original))
        return list(copyrights.collect_candidate_lines(lines))
    finally:
        for name, original in originals.items():
            setattr(copyrights, name, original)


@cache
def _remembering(function: Callable[[str], Any]) -> Callable[[str], Any]:
    kept = lru_cache(maxsize=_LINES)(function)
    return lambda line: kept(line) if len(line) <= LONGEST_LINE else function(line)


@cache
def load() -> Any:
    """Return ScanCode's copyright detector with a lexer and a parser that remember, made once per process."""
    from cluecode.copyrights import CopyrightDetector

    detector = CopyrightDetector()
    detector.lexer, detector.parser = Lexer(detector.lexer), Parser(detector.parser)
    return detector


class Lexer:
    """A lexer of `pygmars` that looks each word up once.

    Args:
        lexer: the lexer that it stands for.
    """

    def __init__(self, lexer: Any) -> None:
        self._matchers = lexer._matchers  # noqa: SLF001 pairs of a function that matches and a label
        self._kept = lru_cache(maxsize=_WORDS)(self._label)

    def lex_tokens(self, tokens: Iterable[Any], trace: Any = False) -> Iterator[Any]:  # noqa: ARG002 its signature
        """Label tokens, and yield them."""
        for token in tokens:
            label = self._kept(token.value) if len(token.value) <= LONGEST_WORD else self._label(token.value)
            if label is not None:
                token.label = label
            yield token

    def _label(self, word: str) -> str | None:
        return next((label for matches, label in self._matchers if matches(word)), None)


class Parser:
    """A parser of `pygmars` that lets a rule work only where its pattern is found.

    Args:
        parser: the parser that it stands for.
    """

    def __init__(self, parser: Any) -> None:
        self._rules = [(rule._transformer.func.__self__.search, rule.parse) for rule in parser.rules]  # noqa: SLF001
        self._kept = lru_cache(maxsize=_STATEMENTS)(self._fitting)

    def parse(self, tokens: list[Any]) -> Any:
        """Return the tree of labelled tokens, the tokens themselves where no rule fits."""
        tree: Any = tokens
        at = self._next(tree, 0)
        while at < len(self._rules):
            tree = self._rules[at][1](tree)
            at = self._next(tree, at + 1)
        return tree

    def _next(self, tree: Any, first: int) -> int:
        labels = "".join([f"<{piece.label}>" for piece in tree])  # as the patterns of pygmars read them
        return self._kept(labels, first) if len(labels) <= LONGEST_STATEMENT else self._fitting(labels, first)

    def _fitting(self, labels: str, first: int) -> int:
        """Return the number of the first rule from a given one on that is found in some labels."""
        rules = self._rules
        return next((at for at in range(first, len(rules)) if rules[at][0](labels)), len(rules))
