"""Real files with invented personal data and secrets planted at many kinds of places, and what must still parse.

Everything planted is made at run time from a seed. `plant` keeps a file that parses parsing.
"""

from __future__ import annotations

import ast
import io
import json
import random
import re
import string
import subprocess
import tokenize
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import html5lib
import yaml
from pygments.lexers import get_lexer_by_name
from pygments.token import Error

GIVEN = ["Karin", "Bob", "Jean-Luc", "Mirela", "Dmitri", "Ay\N{LATIN SMALL LETTER S WITH CEDILLA}e", "Ines"]
FAMILY = [
    "Lindqvist",
    "Bergstrand",
    "O'Malleyson",
    "van der Torp",
    "Kovalenkow",
    "M\N{LATIN SMALL LETTER U WITH DIAERESIS}llner",
]


def fakes(random_: random.Random) -> dict[str, str]:
    """Return one invented value of each kind."""
    given, family = random_.choice(GIVEN), random_.choice(FAMILY)
    letters = string.ascii_letters + string.digits
    token = "".join(random_.choices(letters, k=36))
    user = re.sub("[^a-z]", "", (given + family[:3]).lower()) + "q"
    number = random_.randrange(100, 999)
    return {
        "name": f"{given} {family}",
        "mail": f"{user}{number}@firma{number}.se",
        "user": user,
        "ip": f"54.{number % 200 + 33}.{number % 90 + 40}.{number % 250}",
        "ip6": f"2a01:4f8:c17:{number:x}::2",
        "mac": f"00:1b:44:{number % 90 + 10}:3a:b7",
        "phone": f"+46 70 {number} 45 67",
        "card": "4539578763621486",
        "key": "ghp" + "_" + token,
        "aws": "AKIA" + "".join(random_.choices(string.ascii_uppercase + "234567", k=16)),
        "password": "Tr0ub" + token[:6] + "!x7",
        "jwt": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0." + token,
    }


SENTENCES = [
    "Author: {name} <{mail}>",
    "Copyright (c) 2019 {name}",
    "Signed-off-by: {name} <{mail}>",
    "Thanks to @{user}, mail {mail} or call {phone}",
    "see /home/{user}/project and C:/Users/{user}/x",
    "connect to {ip} or {ip6} ({mac})",
    "https://{user}:{password}@db.firma.se/x?mail={mail}",
    "mailto:{mail}",
    "card {card}, key {key}",
    "password = {password}",
    "token={jwt}",
    "{aws}",
    "{user}123 at firma dot se",
]
"""What is planted into comments, strings and running text."""

PYTHON = [
    "{v}_text = 'first\\n{mail}\\t{name}'",
    "{v}_bytes = b'{mail} {ip} \\x00{user}@firma.se'",
    "{v}_raw = r'C:\\Users\\{user}\\x'",
    "{v}_slashed = 'C:\\\\Users\\\\{user}\\\\x'",
    "{v}_lenient = 'D:\\{user}@firma.se'",
    "{v}_pattern = r'^{mail}$|\\b{ip}\\b'",
    "{v}_f = f'{{{v}_raw}} <{mail}> {{{v}_raw!r:>4}} {phone}'",
    '{v}_doc = """\nAuthor: {name} <{mail}>\n  password = "{password}"\n"""',
    "{v}_number, {v}_list = {card}, [{card}, 0x1f3a99bb77cc88dd]",
    "{v}_map = {{'{mail}': '{name}', '{ip}': b'{key}', 'password': '{password}', 'author': '{name}'}}",
    "{v}_split = '{key_a}' + '{key_b}'",
    "def {v}_f(password='{password}', author='{name}', *, token=b'{key}', url='https://{user}:{password}@x.se/'): pass",
    "{v}_esc = 'Jos\\u00e9 {name} \\u003c{mail}\\u003e \\'{name}\\' <{mail}>'",
    "__author__ = '{name}'; __email__ = \"{mail}\"  # {name} <{mail}>",
    "{v}_cont = 'Author: {name} \\\n<{mail}> \\\n{phone}'",
    "if {v}_raw:  # by {name} <{mail}>\n    # Copyright 2020 {name}\n    {v}_x = '{user}@firma.se'",
    "{v}_pem = '-----BEGIN RSA ' 'PRIVATE KEY-----\\n{pem}\\n{pem}\\n-----END RSA PRIVATE KEY-----\\n'".replace(
        "' '", ""
    ),
    "{v}_matrix = {v}_f @ {v}_f; {v}_slice = '{ip6}'[1::2]",
]

SHELL = [
    "MAIL={mail}",
    "HOST={ip} PORT=22 ssh {user}@{ip} ls",
    "export DB_PASSWORD={password}",
    "cd /home/{user}/project && curl -u {user}:{password} https://{ip}/",
    'echo \'call {phone}\' "$MAIL" "<{mail}>"',
    "cat <<EOF\nAuthor: {name} <{mail}>\npassword={password}\nEOF",
    "git config user.email {mail}; git config user.name '{name}'",
    "case $1 in {mail}) echo $'x\\n{mail}';; esac",
    'API_KEY="{key}" TOKEN={jwt} run --password={password}',
    "# {name} <{mail}> {ip}",
    'arr=({mail} {ip} "{name}")',
]

YAML = [
    "author: {name}",
    "mail: {mail}",
    "host: {ip}",
    "host6: {ip6}",
    "phone: {phone}",
    "card: {card}",
    "password: {password}",
    "token: {jwt}",
    "user_home: /home/{user}/x",
    "note: |\n  Author: {name} <{mail}>\n  {phone}",
    "folded: >-\n  Thanks to @{user}\n\n  {mail}",
    "people: [{mail}, '{name} <{mail}>', \"Author: {name}\\n<{mail}>\"]",
    "? {mail}\n: {name}",
    "authors:\n  - {name} <{mail}>\n  - name: {name}\n    email: {mail}",
    "env: {{KEY: {key}, HOST: {ip}, url: 'https://{user}:{password}@x.se'}}  # by {name}",
]

TOML = [
    "mail = '{mail}'",
    'authors = [{{name = "{name}", email = "{mail}"}}, {{name = "{name}"}}]',
    '"{mail}" = "{phone}"',
    'text = """\nAuthor: {name} <{mail}>\n{ip}\\u00e9 \\"{name}\\"\n"""',
    "card = {card}  # {name} <{mail}>",
    "secret_key = 0x1f3a99bb77cc88dd",
    "password = '{password}'",
    "lit = '''{name} C:\\Users\\{user}\\x {jwt}'''",
]

MARKUP = [
    "<b a=\"{mail}\" b='Author: {name}'>{ip}</b>",
    "<author>{name}</author><email>{mail}</email>",
    "<!-- Author: {name} <{mail}> {phone} -->",
    "<p>Copyright 2019 {name} &lt;{mail}&gt; &amp; {phone}</p>",
    '<a href="mailto:{mail}">{mail}</a><password>{password}</password>',
    "<u><![CDATA[https://{user}:{password}@db.firma.se {key} <{mail}>]]></u>",
    '<home v="/home/{user}/x" mac="{mac}" card="{card}"/>',
]

C_LIKE = [
    'const char *{v}_mail = "first\\n{mail}\\t\\"{name}\\" <{mail}>";',
    "/* Author: {name} <{mail}>\n * {phone} {ip}\n */",
    "// Copyright 2019 {name}, see /home/{user}/x or C:\\Users\\{user}\\x",
    'char *{v}_key = "{key}", *password = "{password}";',
    '#define {v}_URL "https://{user}:{password}@db.firma.se/?m={mail}"',
    "static long {v}_card = {card}L;",
    'char *{v}_cat = "Author: " "{name} " "<{mail}>";',
]

JAVASCRIPT = [
    'var {v}_mail = \'first\\n{mail}\\t"{name}" <{mail}>\', {v}_ip = "{ip}";',
    "/** @author {name} <{mail}>\n * {phone} */",
    "// by {name} <{mail}>",
    "var {v}_t = `Author: {name} <{mail}> ${{ {v}_ip }} {phone}`;",
    "var {v}_r = /^{user}@firma\\.se|{ip}$/g;",
    "var {v}_o = {{'{mail}': '{name}', password: '{password}', token: \"{key}\", author: '{name} <{mail}>'}};",
    "var {v}_n = {card}, {v}_u = 'https://{user}:{password}@x.se/', {v}_w = 'D:\\{user}@firma.se';",
    "var {v}_e = '\\u003c{mail}\\u003e \\x3c{mail}\\x3e';",
]


def _json_value(value: object, random_: random.Random, text: str) -> object:
    """Return a JSON value with the text in one of its strings or as a further entry."""
    if isinstance(value, dict) and value:
        key = random_.choice(sorted(value, key=str))
        return value | {key: _json_value(value[key], random_, text)}
    if isinstance(value, list) and value:
        place = random_.randrange(len(value))
        return [*value[:place], _json_value(value[place], random_, text), *value[place + 1 :]]
    return f"{value[: len(value) // 2]} {text}" if isinstance(value, str) else value


def _plant_json(content: bytes, values: dict[str, str], random_: random.Random) -> bytes:
    document = json.loads(content)
    texts = [sentence.format(**values) for sentence in random_.sample(SENTENCES, 4)]
    for text in texts:
        document = _json_value(document, random_, text)
    own = {
        "author": f"{values['name']} <{values['mail']}>",
        "contributors": [{"name": values["name"], "email": values["mail"]}],
        "password": values["password"],
        "note": f'first\n{values["mail"]}\t"{values["name"]}" <{values["mail"]}>',
        "home": f"C:\\Users\\{values['user']}\\x",
        "card": 4539578763621486,
    }
    document = {**document, **own, values["mail"]: values["name"]} if isinstance(document, dict) else [document, own]
    return json.dumps(document, indent=random_.choice([None, 1]), ensure_ascii=random_.random() < 0.5).encode()


def _lines(templates: list[str], values: dict[str, str], random_: random.Random, count: int) -> list[str]:
    return [
        template.format(v=f"planted{number}", **values)
        for number, template in enumerate(random_.sample(templates, min(count, len(templates))))
    ]


def _plant_lines(templates: list[str], comment: str) -> Callable[[bytes, dict[str, str], random.Random], bytes]:
    def plant_(content: bytes, values: dict[str, str], random_: random.Random) -> bytes:
        sentence = comment + random_.choice(SENTENCES).format(**values) if comment else ""
        added = "\n".join(["", *_lines(templates, values, random_, 5), sentence, ""])
        ends = "\r\n" if b"\r\n" in content else "\n"
        return content + added.replace("\n", ends).encode()

    return plant_


def _plant_python(content: bytes, values: dict[str, str], random_: random.Random) -> bytes:
    text = content.decode()
    lines = text.splitlines(keepends=True)
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type == tokenize.STRING]
    for token in sorted(random_.sample(tokens, min(3, len(tokens))), reverse=True, key=lambda t: t.start):
        quote = re.match(r"\w*('''|\"\"\"|'|\")", token.string)
        row, column = token.start[0] - 1, token.start[1] + quote.end()
        value = random_.choice(SENTENCES).format(**values).replace("'", "")
        lines[row] = lines[row][:column] + value + " " + lines[row][column:]
    return _plant_lines(PYTHON, "# ")("".join(lines).encode(), values, random_)


def _plant_markup(content: bytes, values: dict[str, str], random_: random.Random) -> bytes:
    head, end, tail = content.rpartition(b"</")
    return head + "".join(_lines(MARKUP, values, random_, 4)).encode() + end + tail


def _shell_checked(content: bytes) -> None:
    done = subprocess.run(["bash", "-n"], input=content, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr)


def _punctuation(alias: str) -> Callable[[bytes], object]:
    """Return a check that gives the brackets and signs outside strings and comments, and that no token is wrong."""

    def checked(content: bytes) -> object:
        signs = []
        for _, kind, text in get_lexer_by_name(alias).get_tokens_unprocessed(content.decode("latin-1")):
            if kind in Error:
                signs.append("error")
            elif str(kind).startswith(("Token.Punctuation", "Token.Operator")):
                signs.append(text)
        return signs

    return checked


def _tags(content: bytes) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = html5lib.parse(content.decode("utf-8", "replace"), treebuilder="etree")
    return [str(node.tag) for node in root.iter()]


def _notebook_checked(content: bytes) -> None:
    for cell in json.loads(content)["cells"]:
        if cell["cell_type"] == "code":
            ast.parse("".join(cell["source"]))


def _yaml_checked(content: bytes) -> object:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [type(document) for document in yaml.load_all(content, loader)]


Check = Callable[[bytes], object]
KINDS: dict[str, tuple[Callable[[bytes, dict[str, str], random.Random], bytes], Check]] = {
    "py": (_plant_python, lambda content: [type(node) for node in ast.parse(content).body]),
    "json": (_plant_json, lambda content: type(json.loads(content))),
    "yaml": (_plant_lines(YAML, "# "), _yaml_checked),
    "toml": (
        _plant_lines(TOML, "# "),
        lambda content: sorted(map(str, map(type, tomllib.loads(content.decode()).values()))),
    ),
    "xml": (_plant_markup, lambda content: [node.tag for node in ET.fromstring(content).iter()]),
    "html": (_plant_markup, _tags),
    "sh": (_plant_lines(SHELL, "# "), _shell_checked),
    "c": (_plant_lines(C_LIKE, "// "), _punctuation("c")),
    "h": (_plant_lines(C_LIKE, "// "), _punctuation("cpp")),
    "js": (_plant_lines(JAVASCRIPT, "// "), _punctuation("javascript")),
}
"""How a kind of file is planted, and what must be the same before and after; it raises where a file does not parse."""


def planted(path: Path, kind: str, seed: int = 0) -> bytes | None:
    """Return a real file with fakes in it; None where the file or what is planted does not parse."""
    random_ = random.Random(f"{seed} {path.name} {path.stat().st_size}")
    values = fakes(random_)
    values |= {"key_a": values["key"][:17], "key_b": values["key"][17:], "pem": (values["key"] * 2)[4:68]}
    if kind in {"py", "sh", "js"}:
        values["name"] = values["name"].replace("'", "")
    if kind in {"py", "c", "h", "js"}:
        values["password"] = values["password"].replace("'", "")
    if path.read_bytes()[:2] in {b"\xff\xfe", b"\xfe\xff", b"\0\0"}:
        return None  # what is planted is UTF-8
    try:
        content = KINDS[kind][0](path.read_bytes(), values, random_)
        KINDS[kind][1](content)
    except (ValueError, SyntaxError, ET.ParseError, yaml.YAMLError, tokenize.TokenError, RecursionError, KeyError):
        return None
    return content
