"""Golden set of opt-out issues: forms filled in as people do, with the slips seen in public, and what each one asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

Wish = tuple[str | None, str | None]
PERSON: Wish = (None, None)
"""A person has to read it."""

_SLIPS: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    lambda name: name.upper(),
    lambda name: f"  {name}  ",
    lambda name: f"@{name}" if "/" not in name else f" {name.replace('/', ' / ')}",
    lambda name: f"https://github.com/{name}",
    lambda name: f"http://www.github.com/{name}/",
    lambda name: f"github.com/{name}",
    lambda name: f"https://githib.com/{name}",
    lambda name: f"htttps://github.com/{name}",
    lambda name: f"https:/github.com/{name}",
    lambda name: f"https//github.com/{name}",
    lambda name: f"[{name}](https://github.com/{name})",
    lambda name: f"`{name}`",
    lambda name: f"**{name}**",
    lambda name: f"<https://github.com/{name}>",
    lambda name: f"{name}.",
    lambda name: f"{name},",
    lambda name: f"\u200b{name}",
    lambda name: f"https://github.com/{name}?tab=repositories" if "/" not in name else f"git@github.com:{name}.git",
    lambda name: f"https://github.com/{name}/" if "/" not in name else f"https://github.com/{name}/tree/main/src",
)
_BULLETS = ("", "- ", " - ", "* ", "1. ", "+ ", "\u2022 ", "- [x] ", "> ")
_ALL = ("all", "ALL", "All", "all.", "`all`", "everything", "all repositories", "all my repos",
        "All of my repositories", "Repositories: all", "*")  # fmt: skip
_RANTS = (
    "this being opt-out is insane, think of everyone who would not consent if they were asked",
    "_Note: consent has to be asked for, and I hope you will be made to_",
    "Issue report https://github.com/some-project/some-list/issues/3356 outlines the concerns if you do not.",
    "cc: @somebody @else",
    "Thank you for your time.",
)
_CONDITIONS = (
    "Including **all forks** by other users",
    "Everything except the documentation please",
    "I withdraw what I asked for last year",
    "My old username was different and was missed",
)


def golden(count: int = 2000, seed: int = 7) -> Iterator[tuple[dict[str, Any], set[Wish]]]:
    """Yield issues as GitHub's API gives them, and what each one asks."""
    random = Random(seed)
    forms = (_form, _form, _free, _free, _lone, _unclear)
    for number in range(1, count + 1):
        login = _account(random)
        title, body, wishes = forms[number % len(forms)](random, login)
        if random.random() < 0.2:
            body = body.replace("\n", "\r\n")
        yield (
            {
                "number": number,
                "title": title,
                "body": body,
                "user": {"login": login},
                "created_at": "2026-07-31T00:00:00Z",
            },
            wishes,
        )


def _account(random: Random) -> str:
    word = "".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(random.randint(2, 9)))
    return f"{word}{random.choice(('', '-', ''))}{random.choice('xyz0189')}{random.choice(('', 'Dev', '42'))}"


def _repository(random: Random, owner: str = "") -> str:
    tail = random.choice(("core", "Hello.World", "dot_files", "x", "my-site", "lib2"))
    return f"{owner or _account(random)}/{_account(random)}-{tail}"


def _slip(random: Random, name: str) -> str:
    return random.choice(_SLIPS)(name)


def _lines(random: Random, names: list[str]) -> str:
    if len(names) > 1 and random.random() < 0.2:
        return random.choice((", ", " , ", "; ")).join(names)
    bullet = random.choice(_BULLETS)
    return "\n".join(bullet + _slip(random, name) for name in names)


def _form(random: Random, login: str) -> tuple[str, str, set[Wish]]:
    """The form of 2026: two boxes, sometimes filled in each other's place."""
    accounts = [login, *(_account(random) for _ in range(random.randint(0, 3)))][: random.randint(0, 4)]
    repositories = [_repository(random) for _ in range(random.randint(0, 4))]
    if not accounts and not repositories:
        accounts = [login]
    wishes: set[Wish] = {("owner", name.lower()) for name in accounts} | {
        ("repository", r.lower()) for r in repositories
    }
    boxes = [_lines(random, accounts) or "_No response_", _lines(random, repositories) or "_No response_"]
    if not repositories and random.random() < 0.3:
        boxes[1] = random.choice(("all", "All", "n/a"))
        wishes |= {("owner", login.lower())} if boxes[1] != "n/a" else set()
    if accounts and random.random() < 0.1:
        slipped = _repository(random)
        boxes[0] += f"\n{slipped}"
        wishes.add(("repository", slipped.lower()))
    if repositories and random.random() < 0.1:
        boxes[1] += f"\nhttps://github.com/{login}"
        wishes.add(("owner", login.lower()))
    if repositories and random.random() < 0.1:
        boxes[1] += f"\n{_account(random)}-alone"
        wishes.add(PERSON)
    notes = random.choice(("_No response_", "", *_RANTS))
    body = (
        f"### Accounts and organizations to remove ENTIRELY\n\n{boxes[0]}\n\n### Specific repositories to remove\n\n"
        f"{boxes[1]}\n\n### Optional - your relationship to what you listed\n\n- [x] These are my own personal "
        "account(s).\n- [ ] I am an owner or admin of the organization(s) listed.\n\n### Optional - a link that helps "
        "confirm this is "
        f"you/yours\n\nhttps://github.com/orgs/{_account(random)}/people\n\n### Anything else? (optional)\n\n{notes}\n"
    )
    return random.choice(("Opt-out request", f"Opt-out request for {login}")), body, wishes


def _free(random: Random, login: str) -> tuple[str, str, set[Wish]]:
    """The template of 2022 to 2026: a list of what is to go."""
    lines, wishes = [], set[Wish]()
    for _ in range(random.randint(1, 4)):
        kind = random.choice(("all", "repository", "repository", "commits", "issues", "stack", "placeholder", "sha"))
        if kind == "all":
            lines.append(random.choice(_ALL))
            wishes.add(("owner", login.lower()))
        elif kind == "repository":
            name = _repository(random, login)
            lines.append(_slip(random, name))
            wishes.add(("repository", name.lower()))
        elif kind == "commits":
            lines.append(random.choice(("Commits", "commits", "All commits", "my commits")))
            wishes.add(("author", login.lower()))
        elif kind == "issues":
            lines.append(random.choice(("GitHub issue", "Github issues", "issues", "GitHub Issues and Pull Requests")))
            wishes.add(("issue", login.lower()))
        elif kind == "stack":
            name = _account(random)
            lines.append(
                random.choice(("StackOverflow: {}", "Stack Overflow username: {}", "stackoverflow {}")).format(name)
            )
            wishes.add(("stackoverflow", name.lower()))
        elif kind == "sha":
            sha = "".join(random.choice("0123456789abcdef") for _ in range(40))
            lines.append(sha)
            wishes.add(("commit", sha))
        else:
            lines.append(random.choice(("USERNAME/REPO_1", "...", "username/repo")))
    bullet = random.choice((" - ", "- ", "* ", ""))
    text = "\n".join(bullet + line for line in lines)
    said = "I request that the following data is removed from The Stack"
    intro = random.choice((f"{said}:\n\n", f"{said} and StackOverflow:\n\n", ""))
    rant = random.choice(("", f"\n\n{random.choice(_RANTS)}"))
    title = random.choice((f"Opt-out request for {login}", "Opt-out request for USERNAME", "Opt-out request"))
    return title, f"{intro}{text}{rant}\n", wishes or {PERSON}


def _lone(random: Random, login: str) -> tuple[str, str, set[Wish]]:
    """No template: a sentence or a name."""
    said = random.choice((
        "Opt out all repositories from the Stack", "Please remove all my repositories, thank you!",
        "I want to remove my github repositories from this. I have not given my consent.", f"Github user: {login}",
        f"Remove github.com/{login}", f"username: @{login}", f"Repositories: all\n\nGithub user: {login.title()}",
        login, f"Please remove https://github.com/{login}", "Opt-out from all repository in my personal account.",
        "### Optional - your relationship\n\n- [x] These are my own\n\n### Anything else? (optional)\n\nPlease "
        "delete all of my code.",
    ))  # fmt: skip
    return random.choice((f"Opt-out request {login}", "Opt-out request")), said, {("owner", login.lower())}


def _unclear(random: Random, login: str) -> tuple[str, str, set[Wish]]:
    """What a person has to read, alone or beside what is clear."""
    kind = random.randrange(6)
    if kind == 0:
        return "Opt-out request", "", {PERSON}
    if kind == 1:
        return f"Opt-out request for {_account(random)}-org", "- all", {PERSON}
    if kind == 2:
        return "Opt-out request for ^.+$", "I request that the following data is removed from The Stack:", {PERSON}
    if kind == 3:
        return "Opt-out request", random.choice(_RANTS), {PERSON}
    if kind == 4:
        return "Opt-out request", f"- all\n\n{random.choice(_CONDITIONS)}", {("owner", login.lower()), PERSON}
    name = _repository(random)
    return "Opt-out request", f"- {name}\n- {_account(random)}\n", {("repository", name.lower()), PERSON}
