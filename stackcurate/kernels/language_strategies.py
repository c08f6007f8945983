"""Linguist's strategies, in its order: each narrows the languages that a file may be of.

The content decides last: what an editor's modeline, the name, a shebang and the extension leave open goes to the
heuristics.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from stackcurate.kernels.language_generated import SCOPE, first_lines, last_lines
from stackcurate.kernels.language_heuristics import MANPAGES, Linguist, Names, suffixes

_MANPAGE = re.compile(r"\.(?:[1-9](?:[a-z_]\w*)?|0p|n|man|mdoc)(?:\.in)?$", re.IGNORECASE | re.ASCII)
_EMACS = re.compile(r"-\*-(.*?)-\*-")
_EMACS_MODE = re.compile(r"(?:^|[;\s])mode\s*:\s*([^:;\s]+)", re.IGNORECASE)
_VIM = re.compile(r"(?:(?:^|[ \t])(?:vi|[vV]im(?:[<=>]?\d+)?)|[ \t]ex):(.*)", re.MULTILINE)
_VIM_SET = re.compile(r"[ \t]*set?[ \t]+([^:]*):")
_VIM_TYPE = re.compile(r"(?:^|[ \t:])(?:filetype|ft|syntax)[ \t]*=(\w+)(?=$|[\s:])")
_EXEC = re.compile(r"""^\s*exec\s+(\w+)\s+["']?\$0["']?\s+["']?\$@""", re.MULTILINE)


def _narrow(candidates: Names, found: Names) -> Names:
    return tuple(c for c in candidates if c in found) if candidates else found


def _by_modeline(_name: str, text: str, _candidates: Names, rules: Linguist) -> Names:
    found = rules.aliases.get(_modeline(text))
    return (found,) if found else ()


def _by_filename(name: str, _text: str, candidates: Names, rules: Linguist) -> Names:
    return _narrow(candidates, rules.filenames.get(name, ()))


def _by_shebang(_name: str, text: str, candidates: Names, rules: Linguist) -> Names:
    return _narrow(candidates, rules.interpreters.get(_interpreter(text), ())) if text.startswith("#!") else ()


def _by_extension(name: str, _text: str, candidates: Names, rules: Linguist) -> Names:
    ends = suffixes(name)
    if not rules.unsure.isdisjoint(ends):
        return candidates
    return _narrow(candidates, next((rules.extensions[s] for s in ends if s in rules.extensions), ()))


def _by_xml(_name: str, text: str, candidates: Names, _rules: Linguist) -> Names:
    return () if candidates or "<?xml version=" not in "".join(first_lines(text, 2)) else ("XML",)


def _by_manpage(name: str, _text: str, candidates: Names, _rules: Linguist) -> Names:
    return () if candidates or not _MANPAGE.search(name) else MANPAGES


def _by_heuristics(name: str, text: str, _candidates: Names, rules: Linguist) -> Names:
    return rules.disambiguate(suffixes(name), text)


STRATEGIES: dict[str, Callable[[str, str, Names, Linguist], Names]] = {
    "modeline": _by_modeline,
    "filename": _by_filename,
    "shebang": _by_shebang,
    "extension": _by_extension,
    "xml": _by_xml,
    "manpage": _by_manpage,
    "heuristics": _by_heuristics,
}
"""Strategies in Linguist's order: from file name, text, candidates so far and rules to candidates or nothing."""


def _modeline(text: str) -> str:
    """Return the file type that a Vim or Emacs modeline declares, in lower case; else an empty string."""
    scope = "\n".join(first_lines(text, SCOPE) + last_lines(text, SCOPE))
    if "-*-" in scope and (mode := _emacs_mode(scope)):
        return mode.lower()
    if "UseVimball" not in scope and any(sign in scope for sign in ("vi:", "vim", "Vim", "ex:")):
        for match in _VIM.finditer(scope):
            options = match[1]
            if set_options := _VIM_SET.match(options):
                options = set_options[1]
            if types := _VIM_TYPE.findall(" " + options):
                return str(types[-1]).lower()
    return ""


def _emacs_mode(scope: str) -> str | None:
    for match in _EMACS.finditer(scope):
        variables = match[1]
        if mode := _EMACS_MODE.search(variables):
            return mode[1]
        words = variables.split()
        if len(words) == 1 and not set(":;") & set(words[0]):
            return words[0]
    return None


def _interpreter(text: str) -> str:
    """Return the program that a shebang names, without directory and minor version; else an empty string."""
    line = first_lines(text, 1)[0]
    words = line[2:].split() if line.startswith("#!") else []
    script = words[0].rpartition("/")[2] if words else ""
    if script == "env":
        script = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), "")
    script = re.sub(r"\.\d+$", "", script.rpartition("/")[2])
    if script == "sh" and (hack := _EXEC.search("\n".join(first_lines(text, SCOPE)))):
        return hack[1]
    return "" if script == "osascript" and " -l" in line else script
