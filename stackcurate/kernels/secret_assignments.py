r"""Secrets by the name they are assigned to: ``DB_LOGIN_WORD=...``, ``"api_key": "..."``, ``<password>...``.

A name alone proves little: ``password`` is mostly a label, a parameter or a type. A value counts when it is
written out, is no placeholder, reference or word, and is as mixed as a password or as random as a key.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from stackcurate.kernels.byte_patterns import Pattern
from stackcurate.kernels.secret_rules import entropy, is_placeholder, keep_names

_LOGIN_WORD = r"pass(?:word|wd|phrase|code)?|pwd|contrase(?:\xc3\xb1|\xf1|n)a"
_NAMED_KEY = (
    r"(?:api|auth|access|account|service|private|priv|client|consumer|app|db|database|encryption|encrypt|signing|shared"
    r"|master|storage|license)[_\-. ]?key|secret"
)
_WEAK = r"key|token|credentials?|creds?|auth"
_ASSIGNED = (
    r"(?:[\w\-]{0,40}(?:\[[0-9]{0,6}\])?(?:\\{0,3}[\"'`])?\]?[ \t]{0,20}"
    r"(?::=|=>|={1,3}|!==?|::?[ \t]{0,4}[A-Za-z][\w.<>|\[\]]{0,40}[ \t]{0,4}=|:|[\"'`][ \t]{0,4},|>)[ \t]{0,20})"
)
GATE = (
    Pattern("assignment", rf"(?:{_LOGIN_WORD}|{_NAMED_KEY}){_ASSIGNED}[^ \t\r\n]{{4}}", caseless=True),
    Pattern(
        "assignment", rf"(?:{_WEAK}){_ASSIGNED}[A-Za-z@]{{0,2}}[\\\"'`]{{0,4}}[A-Za-z0-9+/_\-=.~]{{16}}", caseless=True
    ),
)

_ASSIGNMENT = re.compile(
    rf"""(?ix)
    (?P<word>{_LOGIN_WORD}|{_NAMED_KEY.replace(" ", "[ ]")}|{_WEAK})
    (?P<rest>[\w\-]{{0,40}}) (?:\[[0-9]{{0,6}}\])? (?P<close>\\{{0,3}}["'`])? \]? [ \t]{{0,20}}
    (?P<op> := | => | ={{1,3}} | !==? | ::?[ \t]{{0,4}}[A-Za-z][\w.<>|\[\]]{{0,40}}[ \t]{{0,4}}= | : | , | > )
    [ \t]{{0,20}}
    (?: (?:[@$]|[a-z]{{1,2}})? (?P<quote>\\{{0,3}}["'`])
        (?P<quoted>(?:(?!(?P=quote))(?:\\.|[^\n])){{1,512}}+) (?P=quote)
      | (?P<bare>[^\s"'`<>(){{}}\[\],;|&\\]{{4,256}}) (?P<after>[^\n]?) )
    """.encode("latin-1")
)
_CONTINUED = re.compile(rb"""\s{0,20}[+.&\\]?\s{0,200}(["'])([A-Za-z0-9+/_\-=.~!@#$%^&*]{2,256})\1""")
_BEFORE_NAME = re.compile(
    rb"""(?:^|\\n|["'])[\s\-"']*"""
    rb"""(?:(?:export|set|setx|setenv|ENV|ARG|env|local|declare|readonly|-e|--env)[ =]+(?:-x[ ]+)?["']?)?$"""
)
_INLINE = re.compile(rb"(?:^|[\s;?&\"'`\-]|-D|--[\w\-]*)$")
_NAME_BEFORE = re.compile(rb"[\w\-.]{0,64}$")
_SECRET = re.compile(rb"secret(?:s?_|s?key|access|token|value|id|s?[0-9])")
_CAMEL = re.compile(rb"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_IDENTIFIER = re.compile(rb"[A-Za-z_][\w.]*")
_UUID = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_TYPE = re.compile(
    rb"(?i)[a-z_]\w*(?:\.[a-z_]\w*)++|(?:u?int|float|bytes?|char|varchar|string|text|uuid|base|utf|[uif])\d*\w{0,8}"
)
_WORDY = re.compile(rb"#?[A-Za-z\x80-\xff\-_./:,;!?' ]*")
_CASES = re.compile(rb"[a-z][A-Z].*[a-z][A-Z]")
_WORD = re.compile(rb"[a-z]{5}|[A-Z]{5}|[-_./:,;!?' ]")
_MIXED_RUN = re.compile(rb"[A-Za-z][0-9]|[0-9][A-Za-z]|[A-Za-z0-9][^A-Za-z0-9\-_./: ][A-Za-z0-9]|[a-z][A-Z]{2}")


class Assigned(NamedTuple):
    """A value that its name calls a secret: entity, pieces in the bytes, and how sure it is."""

    entity: str
    pieces: tuple[tuple[int, int], ...]
    score: float


def assigned(
    content: bytes, start: int, end: int, *, least: int, key_entropy: float, keep: tuple[str, ...]
) -> list[Assigned]:
    """Return the secrets assigned on one line.

    Args:
        content: bytes of the file; adjacent literals may go on in the next lines.
        start: first byte of the line.
        end: byte after the line.
        least: shortest password, in bytes.
        key_entropy: least Shannon entropy of a key whose name only says key, token or auth, in bits per byte.
        keep: further words that mark a placeholder.
    """
    found = []
    for match in _ASSIGNMENT.finditer(content, start, end):
        name = _name(content, match, start)
        if name is None or not _is_written_out(content, match, start):
            continue
        whole = _pieces(content, match)
        for pieces in dict.fromkeys((whole, whole[:1])):  # what follows may be no part of it
            value = b"".join(content[first:last] for first, last in pieces)
            score = _score(match["word"].lower(), value, least, key_entropy, bare=match["bare"] is not None)
            if score and not _UUID.fullmatch(value) and not is_placeholder(value, keep):
                found.append(Assigned(_entity(match["word"]), pieces, score))
                break
    return found


def _entity(word: bytes) -> str:
    return "PASSWORD" if re.fullmatch(_LOGIN_WORD.encode("latin-1"), word.lower()) else "KEY"


def _name(content: bytes, match: re.Match[bytes], start: int) -> bytes | None:
    """Return the name in snake case between underscores; None where it names no secret."""
    before = _NAME_BEFORE.search(content, max(start, match.start() - 64), match.start())
    head = before.group() if before else b""
    if content[match.start() - len(head) - 2 : match.start() - len(head)] == b"::":
        return None  # a type of a resource or a member of a class
    whole = head + match["word"] + match["rest"]
    name = b"_" + _CAMEL.sub(b"_", whole).lower().strip(b"_") + b"_"
    word = match["word"].lower()
    if word in {b"pass", b"auth", b"cred", b"creds", b"key"} and b"_" + word + b"_" not in name:
        return None if word != b"key" or not re.search(rb"key\d?_", name) else _unless_kept(name)
    if word == b"secret" and not _SECRET.search(name):
        return None
    return _unless_kept(name)


def _unless_kept(name: bytes) -> bytes | None:
    return None if keep_names().search(name) else name


def _is_written_out(content: bytes, match: re.Match[bytes], start: int) -> bool:
    """Return whether the value is a literal rather than an expression of a program."""
    operator = match["op"]
    if operator == b",":
        return match["close"] is not None and match["quoted"] is not None and not match["rest"]
    if operator == b">":
        return match["bare"] is not None and match["after"] == b"<"
    return match["bare"] is None or _is_bare_literal(content, match, start)


def _is_bare_literal(content: bytes, match: re.Match[bytes], start: int) -> bool:
    """Return whether a value without quotes is one of a shell, of an environment file or of YAML."""
    value, after = match["bare"], match["after"]
    if after in (b"(", b"[", b"{", b".") or not re.search(rb"\d", value) or _TYPE.fullmatch(value):
        return False
    if match["word"].lower() in value.lower():
        return False
    head = content[max(start, match.start() - 80) : match.start()]
    head = head[: -len(_NAME_BEFORE.search(head).group()) or None]  # type: ignore[union-attr]  # matches the empty too
    touching = match.end("op") == match.start("bare") and content[match.start("op") - 1] not in b" \t"
    begins_line = _BEFORE_NAME.search(head) is not None
    if match["op"] == b"=" and touching and (begins_line or _INLINE.search(head)):
        return after != b"," and (not _IDENTIFIER.fullmatch(value) or is_random(value))
    if not begins_line or after in (b",", b";", b")"):
        return False
    return (match["op"] == b":" and not touching) or not _IDENTIFIER.fullmatch(value)


def _pieces(content: bytes, match: re.Match[bytes]) -> tuple[tuple[int, int], ...]:
    if match["bare"] is not None:
        return (match.span("bare"),)
    pieces = [match.span("quoted")]
    position = match.end()
    while len(match["quote"]) == 1 and (following := _CONTINUED.match(content, position)):
        pieces.append(following.span(2))
        position = following.end()
    return tuple(pieces)


def _score(word: bytes, value: bytes, least: int, key_entropy: float, *, bare: bool) -> float:
    """Return how sure a value is a secret; 0 for none."""
    if re.search(rb"\s", value) or len(value) < least or not re.search(rb"[A-Za-z]", value):
        return 0.0
    if re.fullmatch(_LOGIN_WORD.encode("latin-1"), word):
        return (0.7 if bare else 0.8) if _is_mixed(value) else 0.0
    strong = re.fullmatch(_NAMED_KEY.encode(), word) is not None
    if strong and len(value) >= max(8, least) and _MIXED_RUN.search(value) and entropy(value) >= 2.5:
        return 0.8
    return 0.6 if len(value) >= 16 and entropy(value) >= key_entropy and is_random(value) else 0.0


def _is_mixed(value: bytes) -> bool:
    """Return whether a value is more than words: digits or signs among letters, or long with cases at random."""
    if not re.search(rb"[A-Za-z]", value):
        return False
    return not _WORDY.fullmatch(value) or bool(len(value) >= 12 and _CASES.search(value) and not _WORD.search(value))


def is_random(value: bytes) -> bool:
    """Return whether some run of a value looks drawn at random, not composed of words.

    >>> is_random(b"f3Ab9xK2mQ7pL4vT8sWz"), is_random(b"some/module-path_v2/index")
    (True, False)
    """
    for run in re.split(rb"[-_./:]", value):
        longest_word = max((len(word) for word in re.findall(rb"[a-z]+|[A-Z]+", run)), default=0)
        if len(run) >= 14 and len(re.findall(rb"\d", run)) >= 2 and longest_word <= 8:
            return True
    return False
