"""Rule packs: their syntax, their notices, what they find and what they let be."""

import random
import re
from importlib.resources import files
from pathlib import Path

import pytest

from stackcurate.kernels import secret_packs
from stackcurate.kernels.byte_patterns import Pattern, candidates
from stackcurate.kernels.secret_packs import PACKS, pack_gate, pack_rules, rewritten
from stackcurate.kernels.secrets import SecretsConfig, find
from tests.bench.pii_negatives import TITUS_RULES, fired, read_rules
from tests.secret_fakes import draw

REWRITTEN = [
    # RE2, ours, a match, no match
    (r"(?i)key-[a-f\d]{4}", r"(?i:key-[a-f\d]{4})", "KEY-12ab", "key-12xy"),
    (r"a(?i)b|c", r"a(?i:b)|(?i:c)", "C", "Ab"),
    (r"(a(?i)b|c)d", r"(a(?i:b)|(?i:c))d", "Cd", "CD"),
    (r"(?i)a(?-i:B)", r"(?i:a(?-i:B))", "AB", "ab"),
    (r"x[\s'\"]{0,3}y", r"x[ \t\r\x0c'\"]{0,3}y", "x \ty", "x\ny"),
    (r"x[^a]y", r"x[^\na]y", "xby", "x\ny"),
    (r"[^]a]b", r"[^\n\]a]b", "xb", "]b"),
    (r"a\sb", r"a[ \t\r\x0c]b", "a b", "a\nb"),
    (r"a.b", r"a[^\n]b", "a]b", "a\nb"),
    (r"(?s:.{0,3})b\z", r"(?:[^\n]{0,3})b$", "b", "bx"),
    (r"(?P<name>a)[[:alnum:]]", r"(a)[A-Za-z0-9]", "a1", "a-"),
    (r"\x60\[a\]", r"\x60\[a\]", "`[a]", "a"),
]


@pytest.mark.parametrize(("theirs", "ours", "match", "other"), REWRITTEN)
def test_expressions_of_re2_are_rewritten(theirs: str, ours: str, match: str, other: str) -> None:
    assert rewritten(theirs) == ours
    assert re.search(ours, match)
    assert not re.search(ours, other)
    for engine in ("hyperscan", "re"):
        pattern = (Pattern("p", ours),)
        assert [bool(candidates(text.encode(), pattern, engine)) for text in (match, other)] == [True, False]


def test_every_rule_of_every_pack_compiles_and_has_a_notice() -> None:
    rules = pack_rules(PACKS)

    assert len(rules) > 500
    for rule in rules.values():
        list(secret_packs.find(rule, b"x", 0, 1))
        assert re.compile(rule.expression).groups <= 20
    for pack in PACKS:
        folder = files("stackcurate").joinpath("data", "secrets", pack)
        assert any(name.startswith(f"{pack}.") for name in rules)
        assert "Copyright" in folder.joinpath("LICENSE").read_text(encoding="utf-8")
        assert len(folder.joinpath("NOTICE").read_text(encoding="utf-8")) > 200


def test_engines_agree_on_the_lines_of_the_packs() -> None:
    rng = random.Random(4)
    names = sorted({rule.name.partition(".")[2].partition("-")[0] for rule in pack_rules(PACKS).values()})
    lines = [
        f"{rng.choice(names)}_{rng.choice(['key', 'token', 'secret'])} {rng.choice(['=', ':', ':='])} "
        f'"{draw(rng.choice((20, 32, 40, 64)), rng.choice(("hex", "alnum", "lower")), rng)}"'
        for _ in range(300)
    ]
    content = "\n".join(lines).encode()
    found = candidates(content, pack_gate(PACKS), "hyperscan")

    assert len(found) > 10
    assert found == candidates(content, pack_gate(PACKS), "re")


def test_a_pack_finds_what_no_other_rule_knows_and_can_be_left_out() -> None:
    secret = draw(32, "hex", random.Random(6))
    content = f"adafruit_thing = '{secret}'\n".encode()

    assert [content[s.start : s.end].decode() for s in find(content) if s.rule.startswith("gitleaks.")] == [secret]
    assert find(content, SecretsConfig(packs=())) == []
    assert find(content, SecretsConfig(packs=("kingfisher",))) == []
    assert find(b"adafruit_thing = '" + b"0" * 32 + b"'", SecretsConfig()) == []


def test_an_unknown_pack_is_an_error() -> None:
    with pytest.raises(ValueError, match="packs"):
        SecretsConfig(packs=("acme",))


RULES = """
rules:
  - {id: user_token, pattern: 'zyx_user_[0-9a-f]{32}', negative_examples: [BOT, VERSION, 'key = "EXAMPLE"']}
  - {id: bot_token, pattern: 'zyx_bot_[0-9a-f]{32}\\z'}
"""


def test_a_negative_example_that_is_another_secret_is_not_false(tmp_path: Path) -> None:
    rng = random.Random(3)
    text = RULES.replace("BOT", f'"api_key=zyx_bot_{draw(32, "hex", rng)}"')
    (tmp_path / "rules.yml").write_text(text.replace("VERSION", f'"api_key=zyx_app_{draw(32, "hex", rng)}"'))

    assert fired(read_rules(tmp_path)) == (3, 2, 1)


@pytest.mark.skipif(not TITUS_RULES, reason="TITUS_RULES names no folder of rules")
def test_negative_examples_of_titus_stay() -> None:
    examples, _, false = fired(read_rules(Path(TITUS_RULES)))

    assert examples > 300
    assert false <= 0.05 * examples


def test_a_web_token_with_a_spelled_signature_is_an_example() -> None:
    head = "eyJhbGciOiJIUzI1NiJ9" + ".eyJpc3MiOiJvdGhlci1zZXJ2aWNlIn0."

    assert find((head + "signature").encode()) == []
    assert find((head + draw(43, "alnum", random.Random(8))).encode()) != []
