"""The negative examples of titus' rules: text that a rule of it must let be.

Many are a secret all the same, of another kind: a Slack token of users is a negative example of that of bots. What we
find there counts as false unless another rule of titus matches in the same place. The rules are YAML files of its
repository (`pkg/rule/rules`, Apache-2.0), named by the variable `TITUS_RULES`; no package has them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import regex
import yaml

from stackcurate.kernels import secrets

TITUS_RULES = os.environ.get("TITUS_RULES", "")
"""Their folder, where there is one."""


class Rule(NamedTuple):
    """A rule: its name, its expression, text that it must not match."""

    name: str
    pattern: regex.Pattern[str]
    negatives: tuple[str, ...]


def read_rules(folder: Path) -> list[Rule]:
    """Read the rules below a folder."""
    documents = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yml")))
    return [
        Rule(rule["id"], _compiled(rule["pattern"]), tuple(rule.get("negative_examples") or ()))
        for document in documents
        for rule in document["rules"]
    ]


def _compiled(expression: str) -> regex.Pattern[str]:
    return regex.compile(expression.replace(r"\z", r"\Z"))


def fired(rules: list[Rule]) -> tuple[int, int, int]:
    """Return the number of negative examples, of those where we find something, and of those where it is false."""
    found = [
        (rule, text, spans) for rule in rules for text in rule.negatives for spans in [secrets.find(text.encode())]
    ]
    hits = [(rule, text, spans) for rule, text, spans in found if spans]
    false = [hit for hit in hits if not all(_known(rules, *hit))]
    return len(found), len(hits), len(false)


def _known(rules: list[Rule], mine: Rule, text: str, spans: list[secrets.Span]) -> Iterator[bool]:
    """Yield for each finding whether another rule matches there."""
    others = [match.span() for rule in rules if rule is not mine for match in rule.pattern.finditer(text)]
    places = [(len(text[:start].encode()), len(text[:end].encode())) for start, end in others]
    for span in spans:
        yield any(start < span.end and span.start < end for start, end in places)
