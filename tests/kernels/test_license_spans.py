"""Spans answer as ScanCode's own do."""

from __future__ import annotations

import random

from stackcurate.kernels import license_spans


def test_replaced_methods_answer_as_the_originals() -> None:
    from licensedcode.spans import Span

    class Fast(Span):  # type: ignore[misc] # ScanCode has no types
        pass

    for name, method in license_spans.methods().items():
        setattr(Fast, name, method)
    rng = random.Random(2)
    for _ in range(2000):
        left, right = (sorted({rng.randrange(30) for _ in range(rng.randrange(1, 9))}) for _ in range(2))
        slow, fast = (Span(left), Span(right)), (Fast(left), Fast(right))
        assert fast[0].overlap(fast[1]) == slow[0].overlap(slow[1])
        assert fast[0].distance_to(fast[1]) == slow[0].distance_to(slow[1])
        assert list(fast[0] & fast[1]) == list(slow[0] & slow[1])
        assert list(fast[0] | fast[1]) == list(slow[0] | slow[1])
        assert (fast[0] == fast[1], fast[0] == Fast(left), fast[0] == left) == (slow[0] == slow[1], True, False)
        assert hash(fast[0]) == hash(slow[0])
        for other in (right[0], set(right), frozenset(left[:1]), slow[1].set, "no"):
            assert (other in fast[0]) == (other in slow[0])
        assert (fast[1] in fast[0]) == (slow[1] in slow[0])


def test_a_span_is_made_of_whatever_scancode_makes_it() -> None:
    from licensedcode.spans import Span

    fast = type("Fast", (Span,), license_spans.methods())
    assert list(fast(fast(2, 4))) == [2, 3, 4]
    for arguments in ((), (3,), (2, 7), (1, 5, 9), ([4, 2],), (range(3, 6),), (Span(1, 4).set,), ({5, 1},)):
        assert list(fast(*arguments)) == list(Span(*arguments))
    assert list(fast(at for at in (8, 6))) == [6, 8]
