"""All that a build reads: local folders and archives, lists of remote repositories, object stores, other datasets.

    for one in discover(["downloads", "git:repositories.txt", "the-stack:data/python", "s3://bucket/sdists"]):
        for repository, files in read(one):
            ...

An `Input` is plain data: it travels to a Spark worker, and `read` runs there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import replace

from stackcurate.errors import SourceError
from stackcurate.sources import git_urls, local, object_stores, the_stack
from stackcurate.sources.directories import SourcesConfig, Wanted
from stackcurate.sources.local import Input
from stackcurate.sources.metadata import Entry, Repository

Read = Iterator[tuple[Repository, Iterator[Entry]]]
"""Repositories, each with its files, which have to be taken before the next one; one may come several times."""

_LISTS: dict[str, Callable[[str], list[Input]]] = {"git": git_urls.listed, "the-stack": the_stack.listed}


def discover(inputs: Iterable[str | os.PathLike[str]]) -> list[Input]:
    """Find all inputs, in order.

    Args:
        inputs: paths as `local.discover` takes them, `git:FILE`, `the-stack:FOLDER`, or URIs of archives.

    Raises:
        SourceError: something does not exist, or holds nothing that can be read.
    """
    found: dict[tuple[str, str], Input] = {}
    for given in (str(os.fspath(one)) for one in inputs):
        scheme, _, rest = given.partition(":")
        if scheme in _LISTS:
            ones = _LISTS[scheme](rest)
        else:
            ones = object_stores.listed(given) if "://" in given else local.discover([given])
        for one in ones:
            found.setdefault((one.kind, one.path), one)
    return list(found.values()) or local.discover([])


def read(
    one: Input,
    config: SourcesConfig | None = None,
    known: Set[str] = frozenset(),
    wanted: Wanted | None = None,
) -> Read:
    """Read an input.

    Args:
        one: as `discover` found it.
        config: limits; the defaults where None.
        known: ids of blobs that are held already; files of remote repositories that have them are not read again.
        wanted: tells of which entries the content is read; None means of all.

    Returns:
        Repositories and their files; what cannot be read is a repository with a reason code, never an exception.
    """
    limits = config or SourcesConfig()
    if one.kind == git_urls.KIND:
        yield from git_urls.read(one, limits, known, wanted)
    elif one.kind == the_stack.KIND:
        yield from the_stack.read(one, limits, wanted)
    elif "://" in one.path:
        with object_stores.carried(one, limits) as here:
            repository, entries = local.read(here, limits, wanted=wanted)
            yield replace(repository, source=one.name), entries
    else:
        yield local.read(one, limits, wanted=wanted)


def is_remote(one: Input) -> bool:
    """Tell whether an input has no state of its own that can be seen from here, so that a snapshot names it."""
    return one.kind == git_urls.KIND


def only(kind: str, given: str) -> str:
    """Return an input as the config spells it.

    Raises:
        SourceError: there is no such kind of source.

    >>> only("git", "urls.txt")
    'git:urls.txt'
    """
    if kind == "local":
        return given
    if kind not in _LISTS:
        raise SourceError(f"--source {kind}: expected one of local, swh, the-stack-full, {', '.join(sorted(_LISTS))}")
    return f"{kind}:{given}"
