"""The section `[repos]`: where repository metadata comes from, and what is worth a download."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stackcurate.config import setting
from stackcurate.sources.github_client import API

GHARCHIVE, GITHUB = KINDS = ("gharchive", "github")
"""Where metadata comes from."""
_PATTERN = re.compile(r"[\w.*?-]+(?:/[\w.*?-]+)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ReposConfig:
    """Where repository metadata comes from, and which repositories are worth a download; unknown values bar none."""

    sources: tuple[str, ...] = setting(
        (), "`gharchive:PLACE` with a folder, URI or address of hourly files; `github:OWNER`, `github:OWNER/NAME`, "
        "`github:@FILE` with a name per line, `github:*` for all there is"
    )  # fmt: skip
    since: str = setting("", "first hour of GH Archive, such as `2024-01-31-7`, or a day")
    until: str = setting("", "last hour of GH Archive, inclusive")
    hours_per_run: int = setting(24, "hours that are read between two commits")
    pages_per_run: int = setting(100, "pages of 100 repositories that `github:*` lists between two commits")
    tokens_file: str = setting("", "file of the driver with a token per line, or `app APP INSTALLATION KEY_FILE`")
    tokens_env: str = setting("GITHUB_TOKEN", "environment variable of the driver that holds tokens where no file does")
    api_url: str = setting(API, "address of GitHub's API, or of an Enterprise server's")
    snapshot: str = setting("v1", "what the API said under this name is not asked again; change it to refresh")
    min_stars: int = setting(0, "fewer stars bar a repository")
    max_size: int = setting(0, "more bytes, as the host counts them, bar a repository; 0 means none are too many")
    forks: bool = setting(True, "forks are taken")
    archived: bool = setting(True, "archived repositories are taken")
    denied_licenses: tuple[str, ...] = setting(
        (), "patterns of SPDX identifiers that bar where the host claims them; a claim never admits"
    )
    allow: tuple[str, ...] = setting((), "patterns of `owner` or `owner/name`; where there are any, all others are out")
    deny: tuple[str, ...] = setting((), "patterns of `owner` or `owner/name` that are out, also under former names")

    def __post_init__(self) -> None:
        """Refuse negative bounds, patterns that no name can fit, and unknown sources."""
        for name, least in (("hours_per_run", 1), ("pages_per_run", 1), ("min_stars", 0), ("max_size", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected {least} or more, found {getattr(self, name)}")
        for name in ("allow", "deny"):
            for pattern in getattr(self, name):
                if not _PATTERN.fullmatch(pattern):
                    raise ValueError(f"{name}: expected `owner` or `owner/name`, with * and ?, found {pattern!r}")
        for source in self.sources:
            kind, _, place = source.partition(":")
            if kind not in KINDS or not place:
                raise ValueError(f"sources: expected gharchive:PLACE or github:NAME, found {source!r}")
