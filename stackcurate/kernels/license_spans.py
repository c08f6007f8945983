"""Sets of positions, as ScanCode's `Span` has them, without the detours.

Merging and filtering matches asks for their overlaps and distances by the hundred thousand, and `Span` answers by
turning each set of bits into a list and back. These functions give the same answers from the sets themselves.
"""

from __future__ import annotations

from typing import Any


def methods() -> dict[str, Any]:
    """Return replacements of methods of `licensedcode.spans.Span`, by name."""
    from intbitset import intbitset

    def init(self: Any, *args: Any) -> None:
        if len(args) == 1:
            only = args[0]
            if type(only) is type(self):
                self._set = intbitset(only._set)  # noqa: SLF001 ScanCode's own field
            elif isinstance(only, int):
                self._set = intbitset(args)
            else:
                self._set = intbitset(only if isinstance(only, intbitset | list) else list(only))
        elif len(args) == 2:
            self._set = intbitset(list(range(args[0], args[1] + 1)))
        else:
            self._set = intbitset(list(args))

    return {
        "__init__": init,
        "__contains__": _contains,
        "__and__": _and,
        "__or__": _or,
        "__eq__": _equals,
        "__hash__": _hash,
        "overlap": _overlap,
        "distance_to": _distance,
    }


def of(span: Any, positions: Any) -> Any:
    """Return a span that takes a set of positions for its own.

    Args:
        span: ScanCode's `Span`.
        positions: an `intbitset` that nobody else changes.
    """
    made = span.__new__(span)
    made._set = positions  # noqa: SLF001 ScanCode's own field
    return made


def _contains(self: Any, other: Any) -> Any:
    # ScanCode asks first whether it is a Span, which is an abstract class and answers slowly.
    own = self._set
    if type(other) is int:
        return other in own
    if type(other) is type(self):
        return own.issuperset(other._set)  # noqa: SLF001 ScanCode's own field
    if isinstance(other, set | frozenset):
        return own.issuperset(type(own)(other))
    return own.issuperset(other) if isinstance(other, type(own)) else None


def _and(self: Any, *others: Any) -> Any:
    return of(type(self), self._set.intersection(*[other._set for other in others]))  # noqa: SLF001 ScanCode's own field


def _or(self: Any, *others: Any) -> Any:
    return of(type(self), self._set.union(*[other._set for other in others]))  # noqa: SLF001 ScanCode's own field


def _equals(self: Any, other: Any) -> bool:
    return type(other) is type(self) and self._set == other._set  # noqa: SLF001 ScanCode's own field


def _hash(self: Any) -> int:
    return hash(tuple(self._set))  # as the original: a class that sets __eq__ alone has none


def _overlap(self: Any, other: Any) -> int:
    return len(self._set & other._set)  # noqa: SLF001 ScanCode's own field


def _distance(self: Any, other: Any) -> Any:
    left, right = self._set, other._set  # noqa: SLF001 ScanCode's own field
    if left[-1] < right[0]:  # sets that lie apart need not be intersected
        return right[0] - left[-1]
    if left[0] > right[-1] or left.isdisjoint(right):
        return left[0] - right[-1]
    return 0
