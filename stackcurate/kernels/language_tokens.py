"""Tokens of source text as Linguist counts them: words and runs of signs, without strings, numbers and comments.

The weights of the classifier belong to these tokens, so the rules follow those of Linguist's tokenizer: the longest
rule that matches wins, which here is the order of the alternatives.
"""

from __future__ import annotations

import re
from collections import Counter

_LONGEST = 16
"""Characters of a token that count. Source: Linguist, `MAX_TOKEN_LEN`."""

_SHEBANG = r"^\#![ \t]*(?:[\w/]*/)?(?:env(?:[ \t]+[^ \t=]*=[^ \t\n]*)*[ \t]+)?(?P<shebang>[A-Za-z_]+).*"
_LINE_COMMENT = r"""
    ^[ \t]*(?:(?P<hash>\#)\#*|(?P<bang>//!)|(?P<dash>--)|(?P<percent>%)%*|(?P<quote>")|(?P<semicolon>;);*)(?:\ .*|\n)
  | ^[ \t]*(?P<slashes>//).*\n?
  | ^(?P<roff>[.'][ \t]*\\")(?:.*|\n)
  | ^(?P<dcl>\$!)\ .*
"""
_BLOCK_COMMENT = r"""
    (?P<c>/\*)\*/ | (?P<block>/\*[*!]?)(?s:.*?)(?:\*/|\Z) | (?P<xml><!--)(?s:.*?)(?:-->|\Z)
  | (?P<haskell>\{-)(?s:.*?)(?:-\}|\Z) | (?P<ocaml>\(\*)(?s:.*?)(?:\*\)|\Z)
  | (?P<python>\"{3}|'{3})(?s:.*?)(?:(?P=python)|\Z) | (?P<lean>/-)-?(?s:.*?)(?:-/|\Z)
"""
_STRING = r"""" (?: [^"\\\n] | \\(?s:.) )*+ (?:["\n]|\\?\Z) | ' (?: [^'\\\n] | \\(?s:.) )*+ (?:['\n]|\\?\Z)"""
_SUFFIX = r"(?:[uU][lL]{0,2}|(?:[eE][-+][0-9]*)?[fFlL]*)"
_NUMBER = rf"[0-9]+\.[0-9.]*{_SUFFIX} | (?:0x[0-9a-fA-F][0-9a-fA-F.]*|[0-9]+){_SUFFIX}(?!\w)"
_WORD = r"[.@\#$]?\w+"
_SIGNS = r"""
    \(\.\.\.\) | \{\.\.\.\} | \[\.\.\.\] | \(\?:
  | &>>? | &\| | <&-? | >& | \|&
  | \(+\)* | \{+\}* | \[+\]* | \)+ | \}+ | \]+
  | \$(?:\(+|\{+|\[\]+)
  | -+>+ | <+-+ | !+=+ | [!=]~ | [<>]*=+[<>]* | </?[?%!\#@] | [?%!]> | :- | [-+*/%&|^~:]=+ | [<>/]+
  | \.\*+\?? | \.\++\??
  | -+ | !+ | \#+ | \$+ | %+ | &+ | \*+ | \++ | ,+ | \.+ | :+ | ;+ | \?+ | @+ | \\+ | \^+ | `+ | \|+ | ~+
"""
_TOKEN = re.compile(
    rf"{_SHEBANG} | {_LINE_COMMENT} | {_BLOCK_COMMENT} | {_STRING} | {_NUMBER} | (?P<token>{_WORD} | {_SIGNS})",
    re.VERBOSE | re.MULTILINE | re.ASCII,
)


def tokens(text: str) -> Counter[str]:
    r"""Count the tokens of a text.

    Args:
        text: source text; as much as is to count.

    >>> sorted(tokens("/* a */ x->y = 'no' + 1;\n# so\n").items())
    [('+', 1), ('->', 1), (';', 1), ('=', 1), ('COMMENT#', 1), ('COMMENT/*', 1), ('x', 1), ('y', 1)]
    """
    return Counter(filter(None, map(_spelled, _TOKEN.finditer(text))))


def _spelled(match: re.Match[str]) -> str | None:
    kind = match.lastgroup
    if kind is None:  # a string or a number
        return None
    spelled = match[kind]
    if kind == "token":
        return spelled[:_LONGEST]
    return f"SHEBANG#!{spelled[:_LONGEST]}" if kind == "shebang" else f"COMMENT{spelled}"
