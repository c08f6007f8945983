"""Hours of GH Archive in the true shape of each era, made from numbers; no person is in them.

Shapes: the timeline of 2011 (`repo`) and of 2012 to 2014 (`repository`), the Events API from 2015 on with whole
repositories in pull requests and forks, and the same with the payloads trimmed as since October 2025.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ERAS = ("timeline-2011", "timeline", "events", "trimmed")
YEARS = {"timeline-2011": "2011-05-26", "timeline": "2013-01-01", "events": "2021-01-01", "trimmed": "2025-11-01"}


def actor(number: int) -> dict[str, Any]:
    """Return who acted, as the Events API gives it."""
    login = f"person{number}"
    return {"id": number, "login": login, "display_login": login, "gravatar_id": "",
            "url": f"https://api.github.com/users/{login}",
            "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?"}  # fmt: skip


def whole(number: int, name: str, **given: Any) -> dict[str, Any]:
    """Return a repository as the API gives it, with the links that make it long."""
    owner = name.partition("/")[0]
    api = f"https://api.github.com/repos/{name}"
    links = (
        "forks",
        "keys{/key_id}",
        "collaborators{/collaborator}",
        "teams",
        "hooks",
        "issues/events{/number}",
        "events",
        "assignees{/user}",
        "branches{/branch}",
        "tags",
        "git/blobs{/sha}",
        "git/tags{/sha}",
        "git/refs{/sha}",
        "git/trees{/sha}",
        "statuses/{sha}",
        "languages",
        "stargazers",
        "contributors",
        "subscribers",
        "subscription",
        "commits{/sha}",
        "comments{/number}",
        "contents/{+path}",
        "merges",
        "downloads",
        "issues{/number}",
        "pulls{/number}",
        "milestones{/number}",
        "labels{/name}",
        "releases{/id}",
    )
    return {
        "id": number, "node_id": f"R_{number}", "name": name.partition("/")[2], "full_name": name, "private": False,
        "owner": actor(number + 7) | {"login": owner, "type": "Organization", "site_admin": False},
        "html_url": f"https://github.com/{name}", "description": "does things", "fork": False, "url": api,
        **{f"{link.partition('{')[0].replace('/', '_')}_url": f"{api}/{link}" for link in links},
        "created_at": "2019-03-04T05:06:07Z", "updated_at": "2020-12-31T00:00:00Z", "pushed_at": "2020-12-31T12:00:00Z",
        "homepage": None, "size": 12, "stargazers_count": 100, "watchers_count": 100, "language": "Python",
        "has_issues": True, "has_projects": True, "has_wiki": True, "forks_count": 10, "archived": False,
        "disabled": False, "open_issues_count": 3, "license": {"key": "mit", "name": "MIT License", "spdx_id": "MIT"},
        "forks": 10, "open_issues": 3, "watchers": 100, "default_branch": "main",
    } | given  # fmt: skip


def event(kind: str, number: int, repo: tuple[int, str], payload: dict[str, Any], *, at: str = "", who: int = 5,
          era: str = "events") -> dict[str, Any]:  # fmt: skip
    """Return an event of an era."""
    time = at or f"{YEARS[era]}T07:{number % 60:02d}:00Z"
    if era == "timeline-2011":
        place = {"id": repo[0], "url": f"https://api.github.dev/repos/{repo[1]}", "name": repo[1]}
        return {"repo": place, "type": kind, "public": True, "created_at": time, "payload": payload,
                "actor": actor(who), "id": str(number)}  # fmt: skip
    if era == "timeline":
        owner, _, name = repo[1].partition("/")
        record = {"id": repo[0], "name": name, "owner": owner, "url": f"https://github.com/{repo[1]}",
                  "created_at": "2012/03/10 22:29:47 -0800", "pushed_at": time, "watchers": 42, "stargazers": 42,
                  "forks": 4, "fork": False, "size": 7, "master_branch": "master", "language": "Ruby",
                  "private": False, "has_wiki": True, "open_issues": 0}  # fmt: skip
        local = time.replace("T07", "T08").replace("Z", "+01:00")
        return {"created_at": local, "payload": payload, "public": True, "type": kind, "url": record["url"],
                "actor": f"person{who}", "actor_attributes": {"login": f"person{who}", "type": "User"},
                "repository": record}  # fmt: skip
    place = {"id": repo[0], "name": repo[1], "url": f"https://api.github.com/repos/{repo[1]}"}
    return {"id": str(number), "type": kind, "actor": actor(who), "repo": place, "payload": payload, "public": True,
            "created_at": time}  # fmt: skip


def pull_request(repo: tuple[int, str], *, trimmed: bool, **given: Any) -> dict[str, Any]:
    """Return the payload of a pull request, with its base as the era gives it."""
    if trimmed:
        small = {"id": repo[0], "url": f"https://api.github.com/repos/{repo[1]}", "name": repo[1].partition("/")[2]}
        ref = {"ref": "main", "sha": "0" * 40, "repo": small}
        return {"action": "opened", "number": 3, "pull_request": {"id": 9, "number": 3, "base": ref, "head": ref}}
    ref = {"label": "main", "ref": "main", "sha": "0" * 40, "repo": whole(*repo, **given)}
    body = "Fixes a thing.\n" * 20
    return {"action": "opened", "number": 3,
            "pull_request": {"id": 9, "number": 3, "title": "Fix", "body": body, "base": ref,
                             "head": ref | {"repo": None}}}  # fmt: skip


def push(draw: random.Random, repo: tuple[int, str], *, trimmed: bool) -> dict[str, Any]:
    """Return the payload of a push."""
    head = f"{draw.getrandbits(160):040x}"
    short = {"repository_id": repo[0], "push_id": draw.getrandbits(33), "ref": "refs/heads/main", "head": head,
             "before": f"{draw.getrandbits(160):040x}"}  # fmt: skip
    if trimmed:
        return short
    commits = [
        {
            "sha": f"{draw.getrandbits(160):040x}",
            "author": {"email": f"{draw.getrandbits(160):040x}@host.invalid", "name": "person"},
            "message": "change things " * draw.randrange(1, 12),
            "distinct": True,
            "url": f"https://api.github.com/repos/{repo[1]}/commits/{head}",
        }
        for _ in range(draw.randrange(1, 4))
    ]
    return short | {"size": len(commits), "distinct_size": len(commits), "commits": commits}


def many(count: int, seed: int = 1) -> Iterator[bytes]:
    """Yield lines in the mix of types of a real hour of 2021."""
    draw = random.Random(seed)
    kinds = ["PushEvent"] * 55 + ["CreateEvent"] * 15 + ["PullRequestEvent"] * 7 + ["WatchEvent"] * 7 + [
        "IssueCommentEvent"] * 6 + ["DeleteEvent"] * 5 + ["ForkEvent"] * 2 + ["IssuesEvent"] * 3  # fmt: skip
    for number in range(count):
        key = draw.randrange(1, count)
        repo = (key, f"owner{key % 997}/project-{key}")
        kind = draw.choice(kinds)
        payload: dict[str, Any] = {"action": "started"}
        if kind == "PushEvent":
            payload = push(draw, repo, trimmed=False)
        elif kind == "PullRequestEvent":
            payload = pull_request(repo, trimmed=False)
        elif kind == "ForkEvent":
            payload = {"forkee": whole(key + count, f"fork{key}/project-{key}", fork=True)}
        elif kind == "CreateEvent":
            payload = {"ref": None, "ref_type": "repository", "master_branch": "main", "description": None}
        elif kind != "WatchEvent":
            payload = {
                "action": "created",
                "issue": {
                    "id": 1,
                    "title": "It fails",
                    "body": "steps to see it " * 60,
                    "user": actor(3),
                    "labels": [],
                },
                "comment": {"id": 1, "user": actor(4), "body": "yes " * 80},
            }
        yield json.dumps(event(kind, 10_000 + number, repo, payload, who=draw.randrange(1, 9999)),
                         separators=(",", ":")).encode()  # fmt: skip


def write_hour(folder: Path, hour: str, events: Iterable[dict[str, Any] | bytes]) -> Path:
    """Write an hour as the archive does; bytes are lines as they are."""
    lines = [one if isinstance(one, bytes) else json.dumps(one, separators=(",", ":")).encode() for one in events]
    path = folder / f"{hour}.json.gz"
    path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines), 6))
    return path
