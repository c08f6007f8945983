"""Texts that the corpus is made of: programs that say nothing, licence texts, personal data that is nobody's."""

from __future__ import annotations

import base64
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from random import Random

_NOUN_LIST = """
anchor basin canyon delta ember fjord glacier harbor inlet jetty kettle lagoon meadow nectar orchard pebble quarry
ridge summit thicket uplift valley willow yarrow zephyr beacon cinder dune estuary furrow grove hollow islet
juniper knoll ledge marsh notch outcrop plateau ravine slope terrace vale wharf arch bluff cove drift eddy
"""
_VERB_LIST = """
adjust balance collect divide extend filter gather handle inspect join keep limit measure narrow order pack
query reduce scale trim update verify widen yield align blend count detect expand fold group hold
"""
_NOUNS, _VERBS = _NOUN_LIST.split(), _VERB_LIST.split()


def python(seed: str, functions: int = 8, note: str = "") -> bytes:
    """Return a Python module; equal seeds give equal bytes, others next to nothing in common."""
    words = _Words(seed)
    head = f'{note}"""{words.sentence()}"""\n\nimport math\n'
    return (head + "".join(_python_function(words) for _ in range(functions))).encode()


def c(seed: str, functions: int = 6, note: str = "") -> bytes:
    """Return a C file."""
    words = _Words(seed)
    head = f"{note}/* {words.sentence()} */\n#include <stddef.h>\n"
    return (head + "".join(_c_function(words) for _ in range(functions))).encode()


def javascript(seed: str, functions: int = 6, note: str = "") -> bytes:
    """Return a JavaScript module."""
    words = _Words(seed)
    head = f"{note}// {words.sentence()}\n'use strict'\n"
    return (head + "".join(_javascript_function(words) for _ in range(functions))).encode()


def markdown(title: str) -> bytes:
    """Return a README that does not mention any licence."""
    words = _Words(title)
    parts = [f"# {title}\n", *(f"\n{' '.join(words.sentence() for _ in range(4))}\n" for _ in range(3))]
    return "".join(parts).encode()


def license_text(key: str, holder: str = "") -> bytes:
    """Return the text of a licence as ScanCode ships it, with a line for the holder on top.

    Args:
        key: ScanCode's key, such as `mit`.
        holder: who holds the copyright; no line where empty.
    """
    spec = importlib.util.find_spec("licensedcode")
    assert spec is not None, 'licence texts come from ScanCode: pip install "stackcurate[scan]"'
    assert spec.submodule_search_locations
    path = Path(spec.submodule_search_locations[0], "data", "licenses", f"{key}.LICENSE")
    text = path.read_text(encoding="utf-8").split("\n---\n", 1)[1].strip()
    return (f"Copyright (c) 2020 {holder}\n\n{text}\n" if holder else f"{text}\n").encode()


GPL_NOTICE = """\
/* This program is free software; you can redistribute it and/or modify it under the terms of the GNU General
   Public License as published by the Free Software Foundation; either version 2 of the License, or (at your
   option) any later version. */
"""


def noise(size: int) -> bytes:
    """Return bytes that do not compress."""
    return Random("noise").randbytes(size)


EICAR = ("X5O!P%@AP[4" + "\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS" + "-TEST-FILE!$H+H*").encode()
BENCHMARK_ITEM = (
    b"def add(x: int, y: int):\n"
    b'    """Add two numbers x and y\n    >>> add(2, 3)\n    5\n    >>> add(5, 7)\n    12\n    """\n    return x + y\n'
)
"""An item of HumanEval, 53 (MIT licence, Copyright (c) OpenAI)."""
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0"
PICKLE = b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94."
"""Would run `id` where somebody unpickles it; nobody here does."""


@dataclass(frozen=True)
class Fakes:
    """Personal data and secrets that belong to nobody, put together at run time: no literal looks like a live one."""

    name: str = "Marta " + "Kowalczyk"
    email: str = "marta.kowalczyk" + "@" + "bright-harbor-mail.net"
    address: str = ".".join(("81", "2", "69", "142"))
    key_id: str = "AKIA" + "".join(Random("key").choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=16))
    author: str = "Ilka " + "Vesterholm"
    author_email: str = "ilka.v" + "@" + "berth-seven"
    pem_body: str = base64.encodebytes(Random("pem").randbytes(300)).decode().strip()


def personal_module() -> bytes:
    """Return a module that names a person, an address, a host and a key."""
    head = f"# Author: {Fakes.name} <{Fakes.email}>\n"
    body = f'SERVER = "{Fakes.address}"\naws_access_key_id = "{Fakes.key_id}"\n'
    return head.encode() + python("contacts") + b"\n" + body.encode()


def author_note() -> str:
    """Return a comment that names the author of the commits where no rule for names would look."""
    return f"# {Fakes.author} insists on two berths, see {Fakes.author_email}\n"


def pem_module() -> bytes:
    """Return a module that holds a private key."""
    kind = "RSA PRIVATE" + " KEY"
    pem = f"-----BEGIN {kind}-----\n{Fakes.pem_body}\n-----END {kind}-----\n"
    return python("vault") + f'\nKEY = """{pem}"""\n'.encode()


class _Words:
    """Words drawn by a seed."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)

    def noun(self) -> str:
        return self._random.choice(_NOUNS)

    def name(self) -> str:
        return f"{self._random.choice(_VERBS)}_{self.noun()}"

    def number(self) -> int:
        return self._random.randrange(2, 9000)

    def operator(self) -> str:
        return self._random.choice("+-*%")

    def sentence(self) -> str:
        return f"The {self.noun()} will {self.name().replace('_', ' the ')} and {self.name().replace('_', ' a ')}."

    def expression(self, *known: str) -> str:
        first, second = (self._random.choice((*known, str(self.number()))) for _ in range(2))
        return f"({first} {self.operator()} {self.number()}) {self.operator()} {second}"


def _python_function(words: _Words) -> str:
    a, b, total, step = words.noun(), words.noun() + "_size", words.noun() + "_total", words.noun() + "_step"
    return f'''

def {words.name()}({a}, {b}):
    """{words.sentence()}"""
    {total} = {words.expression(a, b)}
    for {step} in range({words.number()}):
        if {total} > {words.expression(step, a)}:
            {total} = math.fabs({words.expression(total, step)})
    return {words.expression(total, a, b)}
'''


def _c_function(words: _Words) -> str:
    a, b, total = words.noun(), words.noun() + "_len", words.noun() + "_sum"
    return f"""
static long {words.name()}(long {a}, size_t {b})
{{
    long {total} = {words.expression(a)};
    for (size_t i = {words.number()}; i < {b}; i++)
        {total} ^= {words.expression("i", a)};
    return {words.expression(total, a)};
}}
"""


def _javascript_function(words: _Words) -> str:
    a, b, total = words.noun(), words.noun() + "List", words.noun() + "Total"
    return f"""
exports.{words.name()} = function ({a}, {b}) {{
  let {total} = {words.expression(a)}
  for (const item of {b}) {{
    {total} += {words.expression("item", a)}
  }}
  return {words.expression(total, a)}
}}
"""
