"""Targets of opt-out requests: what a name, an address or a record means, in one spelling."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from difflib import get_close_matches

_ADDRESS = re.compile(
    r"^(?P<given>(?:(?:git\+)?(?:ssh|git|h?t{1,3}ps?)\s?:?\s?/{1,3}\s?)?(?:[\w-]+@)?)(?:www\.)?"
    r"(?P<host>[a-z0-9-]+\.[a-z]{2,3})(?=[/:]|$)[/:]*",
    re.IGNORECASE,
)
"""Scheme, user and host before a path, with the slips of the pen that people make."""
FORGES = ("github.com", "gitlab.com", "codeberg.org", "bitbucket.org")
_FILE_URL = re.compile(r"://[^/]+/[^/]+/[^/]+/(?:blob|raw)/[^/]+/.")
_OWNER = re.compile(r"^[a-z0-9](?:[a-z0-9._-]{0,99})$")
_REPOSITORY = re.compile(r"^[a-z0-9@][\w.@-]{0,99}(?:/[\w.@-]{1,100}){1,3}$")
"""`owner/name`, or a repo_id with its host in front."""
_BLOB = re.compile(r"^[0-9a-f]{40}$")
_NAME = re.compile(r"^[^\s\x00]{1,300}$")
_NO_REPLY = re.compile(r"^\d+\+([^@]+@users\.noreply\.github\.com)$")
KINDS = {"owner": "owner", "user": "owner", "organization": "owner", "organisation": "owner", "account": "owner",
         "repository": "repository", "repo": "repository", "file": "file", "path": "file", "blob": "blob",
         "author": "author", "email": "author", "commit": "commit", "issue": "issue",
         "stackoverflow": "stackoverflow"}  # fmt: skip
"""Words for the kinds of requests, and the kinds."""


def target(fields: Mapping[str, str]) -> tuple[str, str] | tuple[None, None]:
    """Return kind and normalised value of what a record asks to take out; Nones where it names nothing known.

    Args:
        fields: of a record, names in lower case: `kind` and `value`, or a kind as the name of a field.
    """
    kind = KINDS.get((fields.get("kind") or fields.get("type") or "").lower())
    value = fields.get("value") or fields.get("name")
    if "kind" in fields and kind is None:  # a person has to read what kind was meant
        return None, None
    if value is None:
        narrow = next((key for key in ("blob", "file", "path", "repository", "repo") if key in fields), None)
        key = narrow or next((key for key in KINDS if key in fields), None)
        if key is None:
            return None, None
        kind, value = KINDS[key], fields[key]
        if kind == "repository" and "/" not in normalise(value) and "owner" in fields:
            value = f"{fields['owner']}/{value}"
    if _FILE_URL.search(value):
        kind = "file"
    value = normalise(value)
    kind = kind or ("blob" if _BLOB.match(value) else "repository" if "/" in value else "owner")
    if kind == "author" and "@" in value:
        value = author(value)
    shape = {"owner": _OWNER, "repository": _REPOSITORY, "blob": _BLOB, "commit": _BLOB}.get(kind, _NAME)
    if kind != "file" and not shape.match(value):
        return None, None
    return kind, value


def author(email: str) -> str:
    """Return what stands for an e-mail address in tables: its hash, never itself.

    GitHub puts the number of an account before its name in addresses that are none; it makes no difference.

    >>> author("583231+Octocat@users.noreply.github.com") == author("octocat@users.noreply.github.com")
    True
    """
    address = _NO_REPLY.sub(r"\1", email.strip().lower())
    return "sha256:" + hashlib.sha256(address.encode()).hexdigest()


def spelled_author(value: str) -> str:
    """Return what stands for the e-mail of an author in a request: a hash is that already, a login has one at GitHub.

    Args:
        value: of a request of the kind `author`.
    """
    return value if value.startswith("sha256:") else author(f"{value}@users.noreply.github.com")


def normalise(value: str) -> str:
    """Return an owner or repository in lower case, without URL, `@`, `.git` and slashes around it.

    >>> normalise(" https://github.com/Octocat/Hello-World.git ")
    'octocat/hello-world'
    """
    given = value.strip().strip("<>\"'`")
    found = _ADDRESS.match(given)
    forge = found is not None and (bool(found["given"]) or "/" in given[found.end("host") :])
    if found and forge and get_close_matches(found["host"].lower(), FORGES, n=1, cutoff=0.8):
        bare = given[found.end() :].strip("/ ")
        bare = _named_by_url(bare.partition("?")[0].partition("#")[0].split("/"))
    else:
        bare = given.strip("/ ")
    bare = bare.removesuffix(".git")
    return (bare.removeprefix("@") if "/" not in bare else bare).lower()


def _named_by_url(parts: list[str]) -> str:
    """Return what the path of a forge's page is about: an account, a repository or a file in it."""
    if parts[0].lower() in ("orgs", "users"):
        return parts[1] if len(parts) > 1 else ""
    if len(parts) > 4 and parts[2] in ("blob", "raw"):
        return "/".join(parts[:2] + parts[4:])
    return "/".join(parts[:2])
