"""Secrets: whole spans, what is kept, hostile input, and detect-secrets' own findings. Every fake is drawn here."""

import codecs
import hashlib
import json
import string
import subprocess
import sys
import sysconfig
import time
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from detect_secrets import SecretsCollection
from detect_secrets.settings import default_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from stackcurate.kernels import pii
from stackcurate.kernels.byte_patterns import Span
from stackcurate.kernels.recognizers import presidio_findings
from stackcurate.kernels.secrets import SecretsConfig, detect_secrets_findings, find
from tests.bench.pii import differences, write
from tests.bench.pii_corpus import dense, ordinary
from tests.secret_fakes import (
    AWS_SECRET,
    BEGIN,
    BODY,
    END,
    GITHUB,
    JWT,
    KEYS,
    MARGIN,
    OTHER,
    dense_file,
    draw,
    rows,
    uuid,
)

FOUND = [
    # case of the table, source, what is found
    (23, f'id = "{KEYS["aws_access_key"]}"', [KEYS["aws_access_key"]]),
    (25, f'aws_secret_access_key = "{AWS_SECRET}"', [AWS_SECRET]),
    (26, f'token = "{GITHUB}"', [GITHUB]),
    (27, f'a = "{GITHUB}"\nb = "{OTHER}"', [GITHUB, OTHER]),
    (32, "\n".join([BEGIN, *BODY, END]), BODY),
    (34, 'key = "' + "\\n".join([BEGIN, *BODY, END]) + '"', BODY),
    (35, f"const t = '{JWT}';", [JWT]),
    (36, 'URL = "postgres://admin:Tr0ub4dor%263@db.internal:5432/app"', ["Tr0ub4dor%263"]),
    (37, "db:\n  password: hunter2-Prod\n", ["hunter2-Prod"]),
    (41, "DB_PASSWORD=s3Cr3t!pAss\n", ["s3Cr3t!pAss"]),
    (58, json.dumps({"source": [f'api_key = "{AWS_SECRET}"\n', "x = 'y'\n"]}), [AWS_SECRET]),
    (59, f't = "{GITHUB[:20]}" "{GITHUB[20:]}"', [GITHUB[:20], GITHUB[20:]]),
    (59, f't = ("{GITHUB[:9]}" +\n     "{GITHUB[9:]}")', [GITHUB[:9], GITHUB[9:]]),
    (59, "password = \"s3Cr3t\" + '!pAss'", ["s3Cr3t", "!pAss"]),
    (61, "curl -u karin:Pa55w0rd! https://api.invalid", ["Pa55w0rd!"]),
    (61, f'-H "Authorization: Bearer {KEYS["bearer_token"][7:]}"', [KEYS["bearer_token"][7:]]),
    (64, f'hash = "{KEYS["bcrypt_hash"]}"', [KEYS["bcrypt_hash"]]),
    (67, GITHUB, [GITHUB]),
    (68, f'x = "{GITHUB}"  # pragma: allowlist secret', [GITHUB]),
    (69, f"{GITHUB}\nx {GITHUB}\n{GITHUB}", [GITHUB] * 3),
]
KEPT = [
    (24, 'id = "AKIA' + 'IOSFODNN7EXAMPLE"'),
    (33, "\n".join([f"{MARGIN}BEGIN PUBLIC KEY{MARGIN}", *BODY, f"{MARGIN}END PUBLIC KEY{MARGIN}"])),
    (33, "\n".join([f"{MARGIN}BEGIN CERTIFICATE{MARGIN}", *BODY, f"{MARGIN}END CERTIFICATE{MARGIN}"])),
    (38, 'password: ${DB_PASSWORD}\nsecret: "{{ vault_secret1 }}"\npassword = "<your password 1>"'),
    (39, 'password = getpass.getpass("Password: ")\npassword = None\npassword: str | None = None'),
    (39, 'password = os.environ["DB_PASSWORD1"]\ntoken = settings.token2\npassword = args.password1'),
    (40, 'password = "changeme"\npassword = "your_password1"\npassword = "xxxxxxxx"\nsecret = "********"'),
    (42, f'"integrity": "sha512-{draw(86)}=="'),
    (43, f"commit {draw(40, 'hex')}"),
    (44, f'REV = "{draw(40, "hex")}"'),
    (45, f'id = "{uuid()}"\ntoken = "{uuid()}"'),
    (46, f'MD5 = "{draw(32, "hex")}"\nsha256: {draw(64, "hex")}'),
    (47, f'ALPHABET = "{string.ascii_uppercase}{string.ascii_lowercase}{string.digits}+/"'),
    (48, "from very.long.package_name.module2.submodule_thing.client import TokenKeyFactory2"),
    (49, f'src="data:image/png;base64,iVBORw0KGgo{draw(300)}"'),
    (0, '"forgot_password": "Forgot your password?", "password_label": "Passwort2"'),
    (0, 'interface A { password: string; token: Uint8Array; publicKey: "ssh1-abc" }'),
    (0, 'url = "https://user:password@host/"; url = f"https://{user}:{password}@host/"'),
    (0, f"if text.startswith('{BEGIN}'):\n    generatePrivateKeyFromSeedBytes(text)\n# {END}"),
    (0, '"PasswordLastUsed": "2016-09-08T21:47:36Z", "NextToken": "' + draw(40) + '"'),
]


def values(content: bytes, **config: Any) -> list[bytes]:
    return [content[span.start : span.end] for span in find(content, SecretsConfig(**config))]


@pytest.mark.parametrize(("case", "source", "secrets"), FOUND)
def test_secrets_are_found_whole(case: int, source: str, secrets: list[str]) -> None:
    assert values(source.encode()) == [secret.encode() for secret in secrets]


@pytest.mark.parametrize(("case", "source"), KEPT)
def test_what_only_looks_like_a_secret_is_kept(case: int, source: str) -> None:
    assert values(source.encode()) == []


@pytest.mark.parametrize("name", KEYS)
def test_every_format_is_found_wherever_it_stands(name: str) -> None:
    secret = KEYS[name]
    [found] = values(secret.encode())
    for before, after in (('x = "', '"'), ("# ", "\r\n"), ('{"a": "b\\n', '\\n"}'), ("\xff\xfe\xfd é ", " \x80")):
        content = (before + secret + after).encode("latin-1")
        assert found in values(content), before

    assert find(secret.encode())[0].entity == next(row[1] for row in rows() if row[0] == name)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_wide_encodings_are_read_and_offsets_are_of_the_source(encoding: str) -> None:
    content = f"\ufeff# \U0001f600 é\r\nx = '{GITHUB}'\r\nDB_PASSWORD=s3Cr3t!pAss\r\n".encode(encoding)

    assert values(content) == [GITHUB.encode(encoding), "s3Cr3t!pAss".encode(encoding)]


def test_bytes_that_are_no_text_hide_nothing() -> None:
    line = f"\nx = '{GITHUB}'\n".encode()
    for noise in (b"\xff", b"\xff\xfe\xff", b"\0\0", codecs.BOM_UTF8, b"\xed\xa0\x80", b"\x81" * 99):
        assert values(noise + line + noise) == [GITHUB.encode()]


def test_a_password_is_found_where_it_is_used_again() -> None:
    content = b'password = "s3Cr3t!pAss"\nlogin("karin", "s3Cr3t!pAss")\n'

    assert values(content) == [b"s3Cr3t!pAss"] * 2


def test_begin_and_end_of_a_private_key_stay() -> None:
    for newline in ("\n", "\r\n", "\\n", '\\n" +\n    "', "\n    # "):
        content = newline.join([BEGIN, "Proc-Type: 4,ENCRYPTED", *BODY, END]).encode()
        left = content
        for span in reversed(find(content)):
            left = left[: span.start] + left[span.end :]

        assert left.decode() == newline.join([BEGIN, "Proc-Type: 4,ENCRYPTED", "", "", "", END])


def test_a_private_key_that_is_cut_off_is_found() -> None:
    assert values("\n".join([BEGIN, *BODY[:2]]).encode()) == [line.encode() for line in BODY[:2]]


def test_limits_and_further_placeholders_are_configured() -> None:
    content = b'password = "acme-12"'

    assert values(content) == [b"acme-12"]
    assert values(content, keep_words=("ACME",)) == []
    assert values(content, min_password=8) == []
    for wrong in ({"min_password": 0}, {"min_repeat": 1}, {"min_entropy": 9.0}):
        with pytest.raises(ValueError, match="min_"):
            SecretsConfig(**wrong)


PIECES = [b"password", b"token", b" = ", b": ", b'"', b"'", b"\\", b"\n", b"\xff", b"\0", b"{", b"==", b" + "]
PIECES += [b"s3Cr3t!pAss", b"://a:b1c2d3@h", *(text.encode() for text in (GITHUB, BEGIN, END, BODY[0], JWT))]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(PIECES),
        max_size=12,
    )
)
def test_spans_are_in_bounds_and_in_order(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    spans = find(content)

    assert all(0 <= span.start < span.end <= len(content) for span in spans)
    assert all(one.start < two.start and one.end < two.end for one, two in pairwise(spans))
    assert find(content) == spans


HOSTILE = ["eyJ", "key=", 'password="', '"', BEGIN, "curl -u ", "://a:", '"abc" ', '"abc"\n', "xoxb-", "pass: ", "\\"]
HOSTILE += ["gh" + "p_", "pbkdf2_sha256$1234$", "identified by ", "password: ${", "key" + " " * 500, 'password="\\\\']


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_takes_no_more_than_linear_time(piece: str) -> None:
    content = (piece * 200_000)[:200_000].encode()
    start = time.process_time()
    find(content + b'password="' + content)

    assert time.process_time() - start < 5


def test_many_secrets_are_all_found() -> None:
    names = [f"gh{'p'}_{draw(36)}" for _ in range(3000)]
    content = "\n".join(f'password{n} = "{name}"' for n, name in enumerate(names)).encode()

    assert values(content) == [name.encode() for name in names]


def test_ordinary_files_have_next_to_none() -> None:
    contents = [path.read_bytes() for path in real_files(400)]
    found = [span for content in contents for span in find(content)]

    assert len(found) <= len(contents) / 50, found


def real_files(count: int) -> list[Path]:
    root = Path(sysconfig.get_paths()["purelib"])
    kinds = {".py", ".json", ".md", ".txt", ".js", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".html", ".css", ".rst"}
    paths = sorted(p for p in root.glob("*/*") if p.suffix in kinds and 50 < p.stat().st_size < 5_000)
    return paths[:: max(1, len(paths) // count)][:count]


def test_findings_are_those_of_detect_secrets(tmp_path: Path) -> None:
    paths = real_files(300)
    kinds = "py yaml ini cfg go js json txt env toml cs cpp lock properties tf".split()  # noqa: SIM905  # shorter
    for seed in range(400):
        path = tmp_path / f"dense{seed}.{kinds[seed % len(kinds)]}"
        path.write_bytes(dense_file(seed))
        paths.append(path)
    (tmp_path / "broken.py").write_bytes(b"password = 'hunter2'\n\xff")
    found = 0
    with default_settings():
        for path in [*paths, tmp_path / "broken.py"]:
            collection = SecretsCollection()
            collection.scan_file(str(path))
            theirs = {(secret.type, secret.line_number, secret.secret_hash) for _, secret in collection}

            assert detect_secrets_findings(str(path), path.read_bytes()) == theirs, path
            found += len(theirs)

    assert found > 300


def test_a_token_with_its_checksum_is_certain() -> None:
    digits, number = string.digits + string.ascii_uppercase + string.ascii_lowercase, zlib.crc32(GITHUB[4:34].encode())
    checksum = "".join(digits[number // 62**power % 62] for power in reversed(range(6)))

    assert [span.score for span in find((GITHUB[:34] + checksum).encode())] == [1.0]
    assert [span.score for span in find((GITHUB[:34] + checksum[::-1]).encode())] == [0.95]


@pytest.mark.slow
def test_findings_are_those_of_detect_secrets_on_much_text(tmp_path: Path) -> None:
    plain = ordinary(17)
    sources = [*plain, *dense(plain[: len(plain) // 5])]
    counts = [differences(path) for path in write(sources, tmp_path / "much")]

    assert sum(len(source.content) for source in sources) > 20e6
    assert sum(different for different, _ in counts) == 0
    assert sum(found for _, found in counts) > 1000


def test_a_span_has_the_columns_of_the_table() -> None:
    assert find(b"DB_PASSWORD=s3Cr3t!pAss\n") == [Span(12, 23, "PASSWORD", "assignment", 0.7)]


WITHOUT_HYPERSCAN = """
import sys
sys.modules["hyperscan"] = None  # as where it is not installed
from tests.kernels.test_secrets import answers
print(answers())
"""


def answers() -> str:
    """Return the findings in a few files as text, in order."""
    contents = [dense_file(seed) for seed in range(20)] + [path.read_bytes() for path in real_files(5)]
    found = [
        (pii.find_spans(content), sorted(detect_secrets_findings("a.yaml", content)), presidio_findings(text))
        for content in contents
        for text in [content.decode("utf-8", "replace")]
    ]
    return hashlib.sha256(repr(found).encode()).hexdigest() + f" {sum(len(spans) for spans, *_ in found)}"


def test_without_hyperscan_the_findings_are_the_same() -> None:
    command = [sys.executable, "-c", WITHOUT_HYPERSCAN]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    found = answers()

    assert done.stdout.strip() == found
    assert int(found.split()[1]) > 50
