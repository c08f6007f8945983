"""Whether a text bears the mark of a generator: Linguist's rules, most of them as data, and a few that count."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from stackcurate.kernels.language_heuristics import CONSIDERED, Linguist

SCOPE = 5
"""Lines at each end where editors look for modelines, and tools sign. Source: Vim's `modelines`, Linguist."""
_MINIFIED = 110
"""Mean line length above which JavaScript and CSS count as minified. Source: Linguist."""
_COFFEE_SCORE = 3
"""Score of names that only CoffeeScript's compiler makes up. Source: Linguist."""
_COFFEE_LINE = re.compile(r"^.*var .*$", re.MULTILINE)
_COFFEE_COMMON = re.compile(r"_fn|_i|_len|_ref|_results")
_COFFEE_RARE = re.compile(r"__bind|__extends|__hasProp|__indexOf|__slice")
_FONT = re.compile(r"^\s*(?:currentfile eexec\s|/sfnts\s+\[\s<)", re.MULTILINE)


def first_lines(text: str, number: int) -> list[str]:
    """Return so many lines from the start of a text, of what is considered."""
    return text[:CONSIDERED].split("\n", number)[:number]


def last_lines(text: str, number: int) -> list[str]:
    """Return so many lines from the end of a text, of what is considered."""
    return text[-CONSIDERED:].rsplit("\n", number)[-number:]


def bears_mark(path: str, text: str, rules: Linguist, phrases: Iterable[str]) -> bool:
    """Say whether a text says or shows that a tool wrote it.

    Args:
        path: its extension chooses the rules.
        text: the whole text.
        rules: hold the marks by extension.
        phrases: in lower case; one of them in the first lines tells, whatever the extension.
    """
    start = "\n".join(first_lines(text, SCOPE)).lower()
    if any(phrase in start for phrase in phrases):
        return True
    extension = "." + path.rpartition("/")[2].lower().rpartition(".")[2]
    for number, pattern in rules.marks.get(extension, ()):
        lines = first_lines(text, number) if number > 0 else last_lines(text, -number)
        if pattern.search("\n".join(lines)):
            return True
    return any(test(text) for test in _COUNTED.get(extension, ()))


def _minified(text: str) -> bool:
    ends = text.count("\n")
    return (len(text) - ends) // (ends + 1) > _MINIFIED


def _from_coffee(text: str) -> bool:
    """Recognise what CoffeeScript before 1.3 compiled, which it did not sign."""
    if not (text.startswith("(function() {\n") and text.endswith("\n}).call(this);\n")):
        return False
    declared = "\n".join(_COFFEE_LINE.findall(text))
    return len(_COFFEE_COMMON.findall(declared)) + 3 * len(_COFFEE_RARE.findall(declared)) >= _COFFEE_SCORE


def _font(text: str) -> bool:
    """Recognise a font that was converted to PostScript: a stream of hexadecimal bytes."""
    return ("eexec" in text or "/sfnts" in text) and _FONT.search(text) is not None


_COUNTED: Mapping[str, tuple[Callable[[str], bool], ...]] = {
    ".js": (_minified, _from_coffee),
    ".css": (_minified,),
    ".ps": (_font,),
    ".eps": (_font,),
    ".pfa": (_font,),
}
