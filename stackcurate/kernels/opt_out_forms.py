"""Opt-out requests as people file them on GitHub: BigCode's form of 2026 and its free text of 2022 to 2026.

Only a line that names something, and nothing else, is a request. Prose is not: it mentions people in copy, other issues
and the code of others. Prose that may hold a condition or another wish is handed to a person, as is an issue in which
nothing was understood.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from stackcurate.kernels.opt_out_targets import target

Record = Mapping[str, Any] | None

_ACCOUNTS, _REPOSITORIES, _NOTES = "accounts and organizations", "specific repositories", "anything else"
"""First words of the boxes of the form. Source: bigcode-project/opt-out-v2, opt-out-request.yml of 2026-07-31."""
_HEADING = re.compile(r"^\s*#{1,6}\s+(.*?)\s*#*\s*$")
_BULLET = re.compile(
    r"^\s*(?:>\s*)*(?:(?:[-*+\u2022\u2013]|\d{1,3}[.)])\s+|[-*+\u2022\u2013](?=[\w@`\[<]))?(?:\[[ xX]?\]\s+)?"
)
_LINK = re.compile(r"!?\[([^\]]*)\]\(\s*<?([^)>\s]*)>?[^)]*\)")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_LABEL = re.compile(
    r"^(?:(?:my\s+)?(?:git\s?hub\s+)?(?P<what>user(?:\s?name)?s?|login|handle|accounts?|profile|org(?:ani[sz]ation)?s?|"
    r"repo(?:sitor(?:y|ies))?s?)\s*[:=]|(?:please\s+)?(?:remove|delete|exclude|opt[\s-]?out(?:\s+for)?)\s*:?)\s+",
    re.IGNORECASE,
)
_ALL = re.compile(
    r"^(?:(?:opt[\s-]?out|remove|delete)\s+)?(?:all|everything|any|\*|every\s?thing|all\s+of\s+(?:it|them))"
    r"(?:\s+(?:of\s+)?(?:my\s+)?(?:public\s+|github\s+|personal\s+|own\s+)*"
    r"(?:repo(?:sitor(?:y|ies))?s?|data|code|projects?|content|work|files|stuff))?$",
    re.IGNORECASE,
)
_WISH = re.compile(
    r"\b(?:remove|delete|exclude|erase|opt(?:ing|ed)?[\s-]?out)\b.*\b(?:all|my|every|entire)\b.*"
    r"\b(?:repo\w*|code|data|account|works?|projects?|everything|content)\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:except|unless|only|apart|other\s+than|but\s+not|don'?t\s+(?:remove|delete)|do\s+not\s+(?:remove|delete)|"
    r"forks?|withdraw|revoke|cancel|undo|mistake|instead|previous(?:ly)?|former|renamed|old\s+(?:user)?name|"
    r"also|e-?mail|organi[sz]ations?|contribut\w+|typo|on\s+behalf)\b",
    re.IGNORECASE,
)
"""Words of a wish or condition that a rule cannot carry out."""
_COMMITS = re.compile(r"^(?:(?:all\s+)?(?:my\s+)?)?(?:git\s+)?commit(?:s|\s+history)?$", re.IGNORECASE)
_ISSUES = re.compile(r"^(?:(?:all\s+)?(?:my\s+)?)?(?:git\s?hub\s*[- ]?\s*)?(?:issues?|pull\s+requests?|prs?)"
                     r"(?:\s*(?:/|and|&|,)\s*(?:pull\s+requests?|prs?|issues?))?$", re.IGNORECASE)  # fmt: skip
_STACK = re.compile(
    r"^stack\s?-?overflow(?:\s+(?:user\s?name|user|name|account|id)\b)?\s*[:=-]?\s*(?P<name>[^\s:]*)$", re.IGNORECASE
)
_TEMPLATE = re.compile(
    r"^(?:username(?:/repo(?:_?\d+)?)?|my-(?:old-)?username|my-org|my-username/one-repo|some-org/another-repo|\.{3}|"
    r"\u2026|_?no response_?|n/?a|none|-+|"
    r"i request that the following data is removed from the stack(?: and stack\s?overflow)?\s*:?)$",
    re.IGNORECASE,
)
"""What the templates themselves say."""
_TITLE = re.compile(
    r"^\s*opt[\s-]?out\s+request\s+(?:for|from|by|-|:)?\s*@?([A-Za-z0-9](?:[A-Za-z0-9-]{0,38}))(?=$|[\s,.:;(])",
    re.IGNORECASE,
)
_THREAD = re.compile(r"/(?:issues|pulls?|discussions)(?:/|$)")
_SHA = re.compile(r"^[0-9a-f]{40}$")
_WORDS = 3
"""Words of a line that is no prose; a longer one is read as a sentence."""


def form_records(issue: Mapping[str, Any]) -> list[Record]:
    """Return the records of an issue, as `target` takes them; None for each that a person has to read.

    Args:
        issue: as GitHub's API gives it; `body`, and where known `title`, `user`, `number` and `created_at`.
    """
    user = issue.get("user")
    login = user.get("login") if isinstance(user, Mapping) else user
    given = {"id": f"issue-{issue['number']}"} if issue.get("number") else {}
    given |= {"requested_at": issue["created_at"]} if issue.get("created_at") else {}
    wishes = _wishes(str(issue.get("body") or ""), str(issue.get("title") or ""), str(login or ""))
    distinct = dict.fromkeys(wishes)
    if not any(distinct):
        distinct = {("", ""): None}
    return [{**given, "kind": kind, "value": value} for kind, value in distinct]


def _wishes(body: str, title: str, login: str) -> Iterator[tuple[str, str]]:
    """Yield kind and value of what an issue asks; empty ones where a person has to read it."""
    boxes = dict(_boxes(_COMMENT.sub(" ", _plain(body))))
    prose: list[str] = []
    for box, lines in boxes.items():
        if box in ("", _ACCOUNTS, _REPOSITORIES):
            for line in lines:
                found = list(_line(line, box, login, title))
                yield from found
                prose += [] if found else [line]
        elif box == _NOTES:
            prose += lines
    sentences = [line for line in prose if not _TEMPLATE.match(_bare(line))]
    listed = any(box in boxes for box in (_ACCOUNTS, _REPOSITORIES))
    filled = any(not _TEMPLATE.match(_bare(line)) for box in (_ACCOUNTS, _REPOSITORIES) for line in boxes.get(box, []))
    whole = any(_WISH.search(line) for line in sentences)
    if any(_CONDITION.search(line) for line in sentences):
        yield "", ""
    elif whole and not (listed and filled):
        yield _everything(login, title)


def _plain(text: str) -> str:
    """Return a text without characters that nobody sees, in one form of letters."""
    shown = (
        c
        for c in unicodedata.normalize("NFKC", text)
        if c in "\n\t" or unicodedata.category(c) not in ("Cf", "Cc", "Co", "Cn")
    )
    return "".join(shown)


def _boxes(body: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the boxes of the form with their lines; what stands before the first or below other headings is free."""
    found: dict[str, list[str]] = {"": []}
    box = ""
    for line in body.splitlines():
        heading = _HEADING.match(line)
        if heading:
            label = heading[1].lower()
            known = (name for name in (_ACCOUNTS, _REPOSITORIES, _NOTES, "optional") if label.startswith(name))
            box = next(known, "")
            found.setdefault(box, [])
        elif line.strip():
            found[box].append(line)
    yield from found.items()


def _bare(line: str) -> str:
    """Return a line without its bullet, links, emphasis and the marks around it."""
    text = _LINK.sub(lambda match: match[2] or match[1], _BULLET.sub("", line, count=1))
    return text.strip().strip("`*_\"'<>|,;").rstrip(".!:").strip("`*_\"'<>|,; ") if text.strip() != "*" else "*"


def _line(line: str, box: str, login: str, title: str) -> Iterator[tuple[str, str]]:
    """Yield what a line asks; nothing where it is prose or the template's own words."""
    text = _bare(line)
    if not text or _TEMPLATE.match(text):
        return
    label = _LABEL.match(text)
    if label:
        text = _bare(text[label.end() :])
    if _ALL.match(text):
        yield _everything(login, title)
    elif _COMMITS.match(text):
        yield ("author", login) if login else ("", "")
    elif _ISSUES.match(text):
        yield ("issue", login) if login else ("", "")
    elif stack := _STACK.match(text):
        name = stack["name"] or login
        yield ("stackoverflow", name) if name else ("", "")
    else:
        what = (label["what"] or "").lower() if label else ""
        yield from _names(text, box, login, account=bool(what) and not what.startswith("repo"))


def _everything(login: str, title: str) -> tuple[str, str]:
    """Return the request for all of an account; a person decides where the title names another one."""
    named = _TITLE.match(title)
    if not login or (named and named[1].lower() not in (login.lower(), "username")):
        return "", ""
    return "owner", login


def _names(text: str, box: str, login: str, *, account: bool) -> Iterator[tuple[str, str]]:
    """Yield the accounts, repositories and commits that a line lists; nothing where it is prose."""
    joined = re.sub(r"\s*[/\\]\s*(?=[\w.@-])", "/", text.replace("://", ":\0\0")).replace("\0", "/")
    parts = [part for part in re.split(r"[\s,;|]+|\s(?:and|&)\s", joined) if part.strip("`*_\"'<>()")]
    names = [
        part.strip("`*\"'<>()").rstrip(".:").removesuffix("/*") for part in parts if part.lower() not in ("and", "&")
    ]
    found = [_name(name, box) for name in names]
    several = re.search(r"[,;|]", joined) or all("/" in name or name.startswith("@") for name in names)
    if len(names) > _WORDS and not several and box != _ACCOUNTS:
        return
    if box == "" and not account and not all("/" in name or _SHA.match(name) or name.startswith("@") for name in names):
        if len(names) == 1 and found[0] and found[0][1].lower() == login.lower():
            yield found[0]
        elif len(names) == 1:
            yield "", ""  # a lone word: an account, a repository, or something said
        return
    yield from (wish or ("", "") for wish in found)


def _name(name: str, box: str) -> tuple[str, str] | None:
    """Return kind and value of one name; None where it is none."""
    if _SHA.match(name):
        return "commit", name
    if _THREAD.search(name):
        return None  # it speaks of an issue, not of the repository that holds it
    kind, value = target({"value": name})
    if kind is None or value is None or (kind == "owner" and "." in value):
        return None  # GitHub has no accounts with dots: an address, or a slip of the pen
    if kind == "owner" and box == _REPOSITORIES and "/" not in name and not name.startswith("@"):
        return None  # a repository without its owner
    return kind, value
