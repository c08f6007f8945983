"""Spans of personal data and secrets: merge them, replace them, until nothing is left to find.

What a span is replaced by is the subject of `placeholders`. Redacting twice is redacting once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stackcurate.config import setting
from stackcurate.kernels.byte_patterns import Span, as_utf8
from stackcurate.kernels.placeholders import edges, is_placeholder, mask, numbering, placeholder
from stackcurate.kernels.quoting import nowhere, quoting

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
    inside = quoting(content, path, chosen[-1].end) if config.placeholders != "words" and not encoding else nowhere
    number = numbering(content, chosen, lambda span: _text(content, span, encoding), repo_id, key)
    indexed = config.placeholders == "indexed"
    pieces, done = [], 0
    for index, span in ((number(span), _fitted(content, span, encoding)) for span in chosen):
        before, after = content[max(0, span.start - 200) : span.start], content[span.end : span.end + 1]
        value = _text(content, span, encoding)
        token = placeholder(span, value, index, before, after, quoted=inside(span), indexed=indexed)
        pieces += [content[done : span.start], token.encode(encoding or "utf-8")]
        done = span.end
    return b"".join([*pieces, content[done:]]), len(chosen)


def redact_fully(
    content: bytes,
    spans: Iterable[Span],
    look: Callable[[bytes], Iterable[Span]],
    *,
    path: str,
    repo_id: str,
    key: bytes,
    config: RedactionConfig = RedactionConfig(),
) -> tuple[bytes, int]:
    """Redact, look again and redact what a replacement brought to light, until nothing is found.

    Where placeholders do not come to rest, what is found is masked with as much around it as it takes: its word,
    its lines, in the end all of the file. A masked text holds nothing that `open_spans` lets through, so that
    this ends whatever the detectors say, and never half redacted.

    Args:
        content: bytes of the source, in any encoding.
        spans: what `look` found in these bytes.
        look: finds spans in bytes.
        path: as for `redact`.
        repo_id: as for `redact`.
        key: as for `redact`.
        config: policies.

    Returns:
        The bytes, in which `look` finds nothing but placeholders, and how many spans were replaced.
    """
    total = 0
    for attempt in range(_PASSES + len(_REACHES)):
        left = open_spans(content, spans, config)
        if not left:
            break
        if attempt < _PASSES:
            content, _ = redact(content, left, path=path, repo_id=repo_id, key=key, config=config)
        else:
            content = _masked(content, left, _REACHES[attempt - _PASSES])
        total += len(left)
        spans = look(content)
    return content, total


_PASSES, _REACHES = 4, ("span", "line", "line", "file")
"""Real files come to rest after one or two passes; then ever more is masked."""


def _masked(content: bytes, spans: list[Span], reach: str) -> bytes:
    encoding = as_utf8(content)[1]
    if encoding or reach == "file":
        bom = len("\ufeff".encode(encoding)) if encoding else 0
        text = content[bom:].decode(encoding or "latin-1", "replace")
        return content[:bom] + mask(text.encode(), escapes=False).decode().encode(encoding or "utf-8")
    pieces, done = [], 0
    for span in spans:
        start, end = span.start, span.end
        if reach == "line":
            line_end = content.find(b"\n", end - 1)
            start, end = content.rfind(b"\n", 0, start) + 1, line_end if line_end >= 0 else len(content)
        start = max(start, done)
        pieces += [content[done:start], mask(content[start : max(start, end)])]
        done = max(start, end)
    return b"".join([*pieces, content[done:]])


def open_spans(content: bytes, spans: Iterable[Span], config: RedactionConfig = RedactionConfig()) -> list[Span]:
    """Return what is still to be replaced: spans under the policy, merged, without those that hold a placeholder.

    >>> open_spans(b"by <NAME>", [Span(3, 9, "NAME", "names.anchor", 0.9)])
    []
    """
    encoding = as_utf8(content)[1]
    chosen = _chosen(spans, config)
    if encoding:
        chosen = [_aligned(span, len("a".encode(encoding)), len(content)) for span in chosen]
    return [span for span in merge(chosen) if _is_open(content, span, encoding)]


def _aligned(span: Span, unit: int, size: int) -> Span:
    """Widen a span to whole units of UTF-16 or UTF-32: secrets are looked for in the bytes, too."""
    return span._replace(start=span.start - span.start % unit, end=min(size, span.end + -span.end % unit))


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
    return bool(text) and not is_placeholder(text)


def _fitted(content: bytes, span: Span, encoding: str) -> Span:
    """Leave what is not of the value: blanks and escapes at both ends."""
    unit = len("a".encode(encoding)) if encoding else 1
    left, right = edges(
        _text(content, span, encoding), b"" if encoding else content[max(0, span.start - 16) : span.start]
    )
    return span._replace(start=span.start + left * unit, end=max(span.start + left * unit, span.end - right * unit))
