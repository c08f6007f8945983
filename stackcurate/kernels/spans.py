"""Spans of personal data and secrets: merge them, replace them.

A placeholder is chosen by where the span stands, so that a file that parsed still parses: ``<EMAIL>`` inside
strings and comments of programming languages, words and reserved addresses elsewhere. Every placeholder is on
the keep lists of the detectors, so that redacting twice is redacting once.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from stackcurate.config import setting
from stackcurate.kernels.byte_patterns import Span, as_utf8

POLICIES = ("keep", "redact", "sidecar")
_PLACEHOLDERS = ("typed", "indexed", "words")


@dataclass(frozen=True, kw_only=True)
class RedactionConfig:
    """What a release replaces, and by what."""

    placeholders: str = setting(
        "typed", "in strings and comments: `typed` (<NAME>), `indexed` (<NAME_7>) or `words` as everywhere else"
    )
    copyright_names: str = setting(
        "sidecar", "names in copyright lines: `keep`, `redact`, or `sidecar` (redacted; `holders` keeps them)"
    )
    keep_entities: tuple[str, ...] = setting((), "kinds that are found and left in place")
    min_score: float = setting(0.5, "least score that is replaced")

    def __post_init__(self) -> None:
        if self.placeholders not in _PLACEHOLDERS:
            raise ValueError(f"placeholders: expected one of {', '.join(_PLACEHOLDERS)}, found {self.placeholders}")
        if self.copyright_names not in POLICIES:
            raise ValueError(f"copyright_names: expected one of {', '.join(POLICIES)}, found {self.copyright_names}")
        if not 0 <= self.min_score <= 1:
            raise ValueError(f"min_score: expected 0 to 1, found {self.min_score}")


def merge(spans: Iterable[Span]) -> list[Span]:
    """Unite spans that overlap, in order of start; entity, rule and score are those of the surest, then longest.

    Replacing overlapping spans one after the other would leave pieces of them behind.

    >>> merge([Span(0, 5, "NAME", "a", 0.5), Span(3, 9, "EMAIL", "b", 1.0)])
    [Span(start=0, end=9, entity='EMAIL', rule='b', score=1.0)]
    """
    merged: list[list[Span]] = []
    end = -1
    for span in sorted(span for span in spans if span.start < span.end):
        if span.start < end:
            merged[-1].append(span)
        else:
            merged.append([span])
        end = max(end, span.end)
    return [_united(group) for group in merged]


def _united(group: list[Span]) -> Span:
    leader = max(group, key=lambda span: (span.score, span.end - span.start, span.entity, span.rule))
    return leader._replace(start=min(span.start for span in group), end=max(span.end for span in group))


def redact(
    content: bytes,
    spans: Iterable[Span],
    *,
    path: str,
    repo_id: str,
    key: bytes,
    config: RedactionConfig = RedactionConfig(),
) -> tuple[bytes, int]:
    """Replace what the spans cover; every other byte stays.

    Args:
        content: bytes of the source, in any encoding.
        spans: what `pii.find` found in these bytes; they may overlap.
        path: path of the file: its suffix decides which placeholders keep it parsing.
        repo_id: pseudonyms are the same throughout one repository and not linkable to those of another.
        key: secret of the release; without it pseudonyms cannot be traced back by guessing.
        config: policies.

    Returns:
        The redacted bytes in the encoding of the source, and how many spans were replaced.

    >>> source = b'mail = "karin@firma.se"'
    >>> redact(source, [Span(8, 22, "EMAIL", "presidio.email", 1.0)], path="a.py", repo_id="r", key=b"k")
    (b'mail = "<EMAIL>"', 1)
    """
    encoding = as_utf8(content)[1]
    chosen = open_spans(content, spans, config)
    if not chosen:
        return content, 0
    inside = _quoting(content, path, chosen[-1].end) if config.placeholders != "words" and not encoding else _nowhere
    index = _indices(content, chosen, encoding, repo_id, key)
    pieces, done = [], 0
    for span in (_trimmed(content, span, encoding) for span in chosen):
        token = _token(content, span, index(span), encoding, inside, config)
        pieces += [content[done : span.start], token.encode(encoding or "utf-8")]
        done = span.end
    return b"".join([*pieces, content[done:]]), len(chosen)


def open_spans(content: bytes, spans: Iterable[Span], config: RedactionConfig = RedactionConfig()) -> list[Span]:
    """Return what is still to be replaced: spans under the policy, merged, without those that hold a placeholder.

    >>> open_spans(b"by <NAME>", [Span(3, 9, "NAME", "names.anchor", 0.9)])
    []
    """
    encoding = as_utf8(content)[1]
    return [span for span in merge(_chosen(spans, config)) if _is_open(content, span, encoding)]


def _chosen(spans: Iterable[Span], config: RedactionConfig) -> list[Span]:
    wanted = [span for span in spans if span.score >= config.min_score and span.entity not in config.keep_entities]
    if config.copyright_names != "keep":
        return wanted
    holders = [span for span in wanted if span.rule == "names.copyright"]
    return [
        span
        for span in wanted
        if span.entity != "NAME" or not any(span.start < holder.end and holder.start < span.end for holder in holders)
    ]


def _text(content: bytes, span: Span, encoding: str) -> str:
    return content[span.start : span.end].decode(encoding or "utf-8", "replace")


def _is_open(content: bytes, span: Span, encoding: str) -> bool:
    """Say whether there is something to replace: no blank, no placeholder of an earlier pass."""
    text = _text(content, span, encoding).strip()
    return bool(text) and not PLACEHOLDER.fullmatch(text)


PLACEHOLDER = re.compile(
    r"<?(?:NAME|EMAIL|KEY|PASSWORD)(?:_\d+)?>?|REDACTED_(?:NAME|KEY|PASSWORD)(?:_\d+)?|user\d+(?:@redacted\.invalid)?"
    r"|(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d+|2001:db8::[0-9a-f]+|[X9 ().+/-]+"
)
"""What `redact` writes."""


def _trimmed(content: bytes, span: Span, encoding: str) -> Span:
    """Leave blanks at both ends in place: they may be the indentation of a block."""
    unit = len("a".encode(encoding)) if encoding else 1
    text = _text(content, span, encoding)
    if not text.strip():
        return span
    left, right = len(text) - len(text.lstrip()), len(text) - len(text.rstrip())
    return span._replace(start=span.start + left * unit, end=span.end - right * unit)


def _token(
    content: bytes, span: Span, index: int, encoding: str, inside: Callable[[Span], bool], config: RedactionConfig
) -> str:
    """Return the placeholder of a span."""
    value = _text(content, span, encoding)
    if span.entity in _SHAPED:
        return _SHAPED[span.entity](value, index)
    address = _in_address(content, span)
    if not inside(span) or (span.entity == "EMAIL" and address):
        return _WORDS[span.entity].format(index)
    numbered = config.placeholders == "indexed" and span.entity in {"NAME", "EMAIL"}
    name = f"{span.entity}_{index}" if numbered else span.entity
    bracketed = content[span.start - 1 : span.start] == b"<" and content[span.end : span.end + 1] == b">"
    return name if bracketed else f"<{name}>"


_WORDS = {
    "NAME": "REDACTED_NAME_{}",
    "EMAIL": "user{}@redacted.invalid",
    "KEY": "REDACTED_KEY",
    "PASSWORD": "REDACTED_PASSWORD",
}


def _in_address(content: bytes, span: Span) -> bool:
    """Say whether a span is part of a URL, which must stay one."""
    return re.search(rb"(?:mailto:|://[^\s\"'<>]*)$", content[max(0, span.start - 200) : span.start]) is not None


def _documentation_ip(value: str, index: int) -> str:
    """Return an address reserved for documentation. Source: RFC 5737, RFC 3849."""
    if ":" in value and ipaddress.ip_address(value.partition("%")[0]).version == 6:
        return f"2001:db8::{index:x}"
    network, host = divmod(index % 762, 254)
    return f"{('192.0.2', '198.51.100', '203.0.113')[network]}.{host + 1}"


def _documentation_mac(value: str, index: int) -> str:
    """Return a MAC address reserved for documentation, written alike. Source: RFC 7042."""
    digits = iter(f"00005e0053{index % 256:02x}")
    return "".join(next(digits) if char.isalnum() else char for char in value)


def _masked(value: str, _index: int) -> str:
    """Return a number that nobody has, of the same shape: no issuer, country or code begins with 9 or X."""
    return "".join("9" if char.isdigit() else "X" if char.isalpha() else char for char in value)


def _user(_value: str, index: int) -> str:
    return f"user{index}"


_SHAPED: dict[str, Callable[[str, int], str]] = {
    "IP_ADDRESS": _documentation_ip,
    "MAC_ADDRESS": _documentation_mac,
    "PHONE": _masked,
    "CREDIT_CARD": _masked,
    "IBAN": _masked,
    "USERNAME": _user,
}
_PEOPLE = 10_000


def _pseudonym(entity: str, value: str, repo_id: str, key: bytes) -> int:
    """Return a small number for a value, the same throughout a repository."""
    folded = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    message = "\0".join((repo_id, entity, folded)).encode("utf-8", "surrogatepass")
    digest = hmac.new(key, message, hashlib.sha256).digest()
    return 1 + int.from_bytes(digest[:8], "big") % _PEOPLE


_BESIDE = re.compile(
    rb"(?:[ \t<(\[,\"'\\:-]|mailto:){0,16}|\\?[\"'>]?(?:</name>)?[\s,]{0,40}(?:\\?[\"'<])?"
    rb"(?:author_?)?e-?mail\\?[\s\"'=:>]{0,8}",
    re.IGNORECASE,
)
"""Between a name and the address of the same person: brackets, or the next field of a manifest."""


def _indices(content: bytes, spans: list[Span], encoding: str, repo_id: str, key: bytes) -> Callable[[Span], int]:
    """Number the values; an address right behind a name is that person's, wherever it stands in the file."""
    owner = {
        _text(content, mail, encoding).casefold(): name
        for name, mail in pairwise(spans)
        if (name.entity, mail.entity) == ("NAME", "EMAIL")
        and _BESIDE.fullmatch(content[name.end : mail.start].replace(b"\0", b""))
    }

    def index(span: Span) -> int:
        value = _text(content, span, encoding)
        who = owner.get(value.casefold()) if span.entity == "EMAIL" else None
        return _pseudonym((who or span).entity, _text(content, who, encoding) if who else value, repo_id, key)

    return index


_LEXERS = {
    ".c": "c", ".cc": "cpp", ".clj": "clojure", ".coffee": "coffeescript", ".cpp": "cpp", ".cs": "csharp",
    ".cu": "cuda", ".cxx": "cpp", ".dart": "dart", ".erl": "erlang", ".ex": "elixir", ".exs": "elixir",
    ".f90": "fortran", ".go": "go", ".groovy": "groovy", ".h": "cpp", ".hh": "cpp", ".hpp": "cpp", ".hs": "haskell",
    ".java": "java", ".jl": "julia", ".js": "javascript", ".kt": "kotlin", ".lua": "lua", ".m": "objective-c",
    ".mjs": "javascript", ".ml": "ocaml", ".nim": "nim", ".pas": "delphi", ".pl": "perl", ".pm": "perl",
    ".proto": "protobuf", ".py": "python", ".pyi": "python", ".pyx": "cython", ".r": "r", ".rb": "ruby",
    ".rs": "rust", ".scala": "scala", ".sol": "solidity", ".sql": "sql", ".swift": "swift", ".ts": "typescript",
    ".zig": "zig",
}  # fmt: skip
"""Programming languages in whose strings and comments angle brackets mean nothing, by suffix."""

_PROSE = re.compile(
    r"(?i)(?:authors|changes|changelog|contributors|copying|copyright|credits|history|licen[cs]e|maintainers|news|notice"
    r"|readme|thanks)[\w.-]*?(?:\.txt|\.rst)?"
)
_LONGEST_LEXED = 500_000


def _nowhere(_span: Span) -> bool:
    return False


def _everywhere(_span: Span) -> bool:
    return True


def _quoting(content: bytes, path: str, last: int) -> Callable[[Span], bool]:
    """Return whether a span that ends by `last` stands in a string, a comment or prose."""
    name = PurePosixPath(path).name
    if _PROSE.fullmatch(name) and PurePosixPath(name).suffix in {"", ".txt", ".rst"}:
        return _everywhere
    alias = _LEXERS.get(PurePosixPath(name).suffix.lower())
    markup = alias in {"javascript", "typescript"} and (b"</" in content or b"/>" in content)  # JSX
    if alias is None or markup or len(content) > _LONGEST_LEXED:
        return _nowhere
    plain = _COMMENTED[alias in _HASH_COMMENTS]
    regions: list[tuple[int, int]] = []

    def inside(span: Span) -> bool:
        line = content.rfind(b"\n", 0, span.start) + 1
        if plain.fullmatch(content, line, span.start) and b"\n" not in content[span.start : span.end]:
            return True
        if not regions:
            regions.extend([(-1, -1), *_literals(content, alias, last)])
        start, end = regions[bisect_right(regions, (span.start, len(content))) - 1]
        return start <= span.start and span.end <= end

    return inside


_HASH_COMMENTS = {"python", "cython", "ruby", "perl", "r", "julia", "elixir", "nim", "coffeescript"}
_ASSIGNED = rb"[ \t]*[\w.]+[ \t]*=[ \t]*\"[^\"'\\\n]*"
_COMMENTED = {True: re.compile(rb"[ \t]*#[^\n]*|" + _ASSIGNED), False: re.compile(rb"[ \t]*//[^\n]*|" + _ASSIGNED)}
"""A line that begins like this is in a string or a comment, whatever stands above it: no lexer is needed."""


def _literals(content: bytes, alias: str, last: int) -> list[tuple[int, int]]:
    """Return the byte ranges of strings and comments that begin before `last`; in Latin-1 a byte is a character."""
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.token import Comment, String  # type: ignore[import-untyped]

    regions: list[tuple[int, int]] = []
    for start, kind, text in get_lexer_by_name(alias).get_tokens_unprocessed(content.decode("latin-1")):
        if start > last:
            break
        code = kind in String.Interpol or kind in String.Symbol or kind in Comment.Preproc or kind in Comment.Hashbang
        if code or not (kind in String or kind in Comment):
            continue
        if regions and regions[-1][1] == start:
            regions[-1] = (regions[-1][0], start + len(text))
        else:
            regions.append((start, start + len(text)))
    return regions
