"""The graded cases: one line or file each, what must be gone after redaction and what must still be there."""

from __future__ import annotations

import codecs
import json
import random
import string
from typing import NamedTuple

from stackcurate.kernels import spans
from stackcurate.kernels.pii import find_spans
from tests.secret_fakes import AWS_SECRET, BEGIN, BODY, END, GITHUB, JWT, KEYS, MARGIN, OTHER, draw, uuid

KEY = b"a key of this test"


class Case(NamedTuple):
    """A case: its number in the table, path and text of the file, what goes, what stays, and its encoding."""

    number: int
    path: str
    source: str
    gone: list[str]
    kept: list[str]
    encoding: str = "utf-8"


def redacted(content: bytes, path: str) -> bytes:
    """Find and replace in one file."""
    return spans.redact(content, find_spans(content), path=path, repo_id="r", key=KEY)[0]


def failure(case: Case) -> str:
    """Return what is wrong with a case, or nothing: leaks, losses, changes of what is clean, no second fixpoint."""
    content = case.source.encode(case.encoding)
    result = redacted(content, case.path)
    text = result.decode(case.encoding)
    leaks = [value for value in case.gone if value in text]
    losses = [value for value in case.kept if value not in text]
    if leaks or losses:
        return f"leaks {leaks}, losses {losses}: {text}"
    if not case.gone and result != content:
        return f"changed: {text}"
    return "" if redacted(result, case.path) == result else f"changed again: {text}"


HASHES = {
    name: random.Random(name).randbytes(size).hex() for name, size in {"sha1": 20, "md5": 16, "sha256": 32}.items()
}
PUBLIC = [f"{MARGIN}{word} PUBLIC KEY{MARGIN}" for word in ("BEGIN", "END")]
CERTIFICATE = [f"{MARGIN}{word} CERTIFICATE{MARGIN}" for word in ("BEGIN", "END")]
ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
NOTEBOOK = {
    "cells": [{"outputs": ["by karin@firma.se\n"], "source": [f'api_key = "{AWS_SECRET}"\n', "karin@firma.se"]}]
}

ROWS: list[tuple[int, str, str, list[str], list[str]]] = [
    # number, path, source, redacted, kept
    (1, "a.py", "# contact: karin.lindqvist@gmail.com", ["karin", "gmail"], ["# contact: "]),
    (2, "a.py", "# user@example.com, foo@example.org", [], ["user@example.com", "foo@example.org"]),
    (3, "a.md", "Mail karin.lindqvist at gmail dot com!", ["karin", "gmail"], ["Mail ", "!"]),
    (4, "a.txt", "<karin (at) lindqvist (dot) se>", ["karin", "lindqvist"], ["<", ">"]),
    (5, "a.sh", "git clone git@github.com:acme/tool.git", [], ["git@github.com:acme/tool.git"]),
    (6, "a.cfg", "url = ssh://deploy@10.1.2.3/srv", [], ["ssh://deploy@10.1.2.3/srv"]),
    (7, "a.py", "@app.route('/x')\n@pytest.fixture\ndef f(): ...", [], ["@app.route", "@pytest.fixture"]),
    (8, "a.css", "@media (max-width: 9px) { a { background: url(btn@2x.png) } }", [], ["@media (max", "btn@2x.png"]),
    (9, "a.md", "Thanks to @karinlindqvist", ["karinlindqvist"], ["Thanks to @"]),
    (10, "a.json", '{"@babel/core": "^7.0.0"}', [], ['"@babel/core": "^7.0.0"']),
    (
        11,
        "package.json",
        '{"author": "Karin Lindqvist <karin@lindqvist.se> (https://k.se)"}',
        ["Karin", "lindqvist.se"],
        ['{"author": "', "(https://k.se)"],
    ),
    (12, "a.py", 'HOST = "54.12.33.177"', ["54.12.33.177"], ['HOST = "']),
    (13, "a.py", 'DNS = ["8.8.8.8", "1.1.1.1"]', [], ["8.8.8.8", "1.1.1.1"]),
    (14, "a.py", 'X = "127.0.0.1 0.0.0.0 192.168.1.20"', [], ["127.0.0.1 0.0.0.0 192.168.1.20"]),
    (15, "a.py", 'HOST = "192.0.2.7"', [], ["192.0.2.7"]),
    (16, "a.py", '__version__ = "1.2.3.4"', [], ["1.2.3.4"]),
    (17, "a.cs", '[assembly: AssemblyVersion("10.0.19041.1")]', [], ["10.0.19041.1"]),
    (18, "a.js", 'ua = "Mozilla/5.0 chrome/114.0.5735.198 Safari/90.0.44.212"', [], ["114.0.5735.198", "90.0.44.212"]),
    (19, "a.c", "/* OID 1.3.6.1, see section 4.1.2.1 */", [], ["1.3.6.1", "4.1.2.1"]),
    (20, "a.py", 'ADDR = "2a01:4f8:c17:b0f::2"', ["c17"], ['ADDR = "']),
    (21, "a.cc", "std::vector<int> v = a::b::c; // x[1::2]", [], ["std::vector", "a::b::c", "x[1::2]"]),
    (22, "a.py", 'MAC = "00:1B:44:11:3A:B7"  # at 12:34:56', ["00:1B:44:11:3A:B7"], ["12:34:56"]),
    (50, "a.py", "# Copyright (c) 2019 Karin Lindqvist", ["Karin", "Lindqvist"], ["# Copyright (c) 2019 "]),
    (51, "a.py", "# Author: José Müller-Östlund", ["José", "Östlund"], ["# Author: "]),
    (52, "a.py", "# Author: 山田太郎", ["山田太郎"], ["# Author: "]),
    (53, "a.py", "# Bayes, Gauss-Seidel and Newton-Raphson", [], ["Bayes, Gauss-Seidel and Newton-Raphson"]),
    (54, "a.py", "class Jordan(Matrix): pass", [], ["class Jordan(Matrix)"]),
    (55, "a.py", "# call +46 70 123 45 67", ["70 123"], ["# call +"]),
    (56, "a.py", "x = [1234567890, 0.234567, 4111111111111111]", [], ["1234567890, 0.234567, 4111111111111111"]),
    (57, "a.sh", "cd /home/karinl/project", ["karinl"], ["cd /home/", "/project"]),
    (
        58,
        "a.ipynb",
        '{"cells": [{"outputs": ["by karin@firma.se\\n"], "source": ["print(\\"a\\")\\nkarin@firma.se"]}]}',
        ["karin", "firma"],
        ['["by ', '\\n"], "source": ["print(\\"a\\")\\n'],
    ),
    (60, "a.py", "# karin@gm\u0430il.com, k\u0430rin@\u0444ирма.рф", ["karin", "k\u0430rin"], ["# "]),
    (62, "a.txt", "Signed-off-by: Karin Lindqvist <k@lindqvist.se>", ["Karin", "k@"], ["Signed-off-by: "]),
    (63, "a.svg", '<path d="M10.1.2.3 4.5.6.7-8.1.2.5"/>', [], ["M10.1.2.3 4.5.6.7-8.1.2.5"]),
]
SECRETS: list[tuple[int, str, str, list[str], list[str]]] = [
    (23, "a.py", f'id = "{KEYS["aws_access_key"]}"', [KEYS["aws_access_key"][8:]], ['id = "']),
    (24, "a.py", 'id = "AKIA' + 'IOSFODNN7EXAMPLE"', [], []),
    (25, "a.cfg", f'aws_secret_access_key = "{AWS_SECRET}"', [AWS_SECRET], ["aws_secret_access_key = "]),
    (26, "a.py", f't = "{GITHUB}"', [GITHUB[4:]], ['t = "']),
    (27, "a.py", f'a = "{GITHUB}"\nb = "{OTHER}"', [GITHUB[4:], OTHER[4:]], ['a = "', '"\nb = "']),
    *(
        (number, "a.py", f't = "{KEYS[name]}"  # x', [KEYS[name][-20:], KEYS[name][:-10]], ['t = "', '"  # x'])
        for number, name in {
            28: "github_fine_grained",
            29: "google_api_key",
            30: "huggingface_token",
            31: "anthropic_key",
        }.items()
    ),
    (32, "a.pem", "\n".join([BEGIN, *BODY, END, ""]), BODY, [BEGIN + "\n", "\n" + END]),
    (33, "a.pem", "\n".join([PUBLIC[0], *BODY, PUBLIC[1], CERTIFICATE[0], *BODY, CERTIFICATE[1]]), [], []),
    (34, "a.py", 'key = "' + "\\n".join([BEGIN, *BODY, END]) + '"', BODY, [f'"{BEGIN}\\n', f'\\n{END}"']),
    (35, "a.js", f"const t = '{JWT}';", JWT.split("."), ["const t = '", "';"]),
    (
        36,
        "a.py",
        'URL = "postgres://admin:Tr0ub4dor%263@db.acme.dev:5432/app"',
        ["Tr0ub4dor"],
        ["@db.acme.dev:5432/app"],
    ),
    (37, "a.yaml", "db:\n  password: hunter2-Prod\n", ["hunter2"], ["db:\n  password: "]),
    (38, "a.yaml", 'password: ${DB_PASSWORD}\nsecret: "{{ vault_secret }}"', [], []),
    (39, "a.py", 'password = getpass.getpass("Password: ")\npassword = None', [], []),
    (40, "a.py", 'password = "changeme"', [], []),
    (41, ".env", "DB_PASSWORD=s3Cr3t!pAss\n", ["s3Cr3t"], ["DB_PASSWORD="]),
    (42, "package-lock.json", f'{{"integrity": "sha512-{draw(86)}=="}}', [], []),
    (43, "a.md", f"commit {HASHES['sha1']}", [], []),
    (44, "a.py", f'REV = "{HASHES["sha1"]}"', [], []),
    (45, "a.py", f'id = "{uuid()}"', [], []),
    (46, "a.py", f'MD5 = "{HASHES["md5"]}"\nSHA256 = "{HASHES["sha256"]}"', [], []),
    (47, "a.py", f'ALPHABET = "{ALPHABET}"', [], []),
    (48, "a.py", "from very.long.package_name.module2.submodule.client import TokenKeyFactory2", [], []),
    (49, "a.html", f'<img src="data:image/png;base64,iVBORw0KGgo{draw(300)}">', [], []),
    (58, "a.ipynb", json.dumps(NOTEBOOK), ["karin", AWS_SECRET], ['{"cells": [{"outputs": ["by ', 'api_key = \\"']),
    (59, "a.py", f't = ("{GITHUB[:20]}"\n     "{GITHUB[20:]}")', [GITHUB[4:20], GITHUB[20:]], ['t = ("', '"\n     "']),
    (61, "a.sh", "curl -u karin:Pa55w0rd! https://api.acme.dev", ["Pa55w0rd"], ["curl -u ", "https://api.acme.dev"]),
    (61, "a.sh", f'-H "Authorization: Bearer {HASHES["md5"]}"', [HASHES["md5"]], ['-H "Authorization: Bearer ']),
    (64, "a.py", f'hash = "{KEYS["bcrypt_hash"]}"', [KEYS["bcrypt_hash"][7:]], ['hash = "']),
    (65, "a.py", f'# caf\xe9\n# mail karin@firma.se\nt = "{GITHUB}"\n', ["karin", GITHUB[4:]], ["# caf\xe9\n# mail "]),
    (66, "a.py", f'# a\r\nt = "{GITHUB}"\r\n# karin@firma.se\r\n', ["karin", GITHUB[4:]], ["# a\r\n", '"\r\n# ']),
    (67, "a.txt", f"{GITHUB}", [GITHUB[4:]], []),
    (67, "a.py", "#!/home/karinl/bin/python\n", ["karinl"], ["#!/home/"]),
    (68, "a.py", f't = "{GITHUB}"  # pragma: allowlist secret', [GITHUB[4:]], ['t = "', "# pragma: allowlist secret"]),
    (69, "a.py", f'a = "{GITHUB}"\nb = "{GITHUB}"\n# {GITHUB}\n', [GITHUB[4:]], ['a = "', 'b = "', "# "]),
]
ENCODINGS = {65: ["latin-1"], 66: ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]}


def _cases() -> list[Case]:
    made = []
    for number, path, source, gone, kept in sorted(ROWS + SECRETS, key=lambda row: row[0]):
        for encoding in ENCODINGS.get(number, ["utf-8"]):
            mark = codecs.BOM_UTF8.decode() if encoding.startswith("utf-16") else ""
            made.append(Case(number, path, mark + source, gone, kept, encoding))
    return made


CASES = _cases()
"""All cases; some numbers have several."""
