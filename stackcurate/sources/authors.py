"""Authors of commits: what is kept of them, a keyed hash that a request can be compared with, and nothing else."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

from stackcurate.kernels.opt_out_targets import author
from stackcurate.sources.metadata import Repository


def keyed_hash(key: bytes, value: str) -> str:
    """Return the HMAC-SHA-256 of a name, or of what stands for an e-mail; case and runs of spaces make no difference.

    >>> keyed_hash(b"k", "Ada  Lovelace ") == keyed_hash(b"k", "ada lovelace")
    True
    """
    return hmac.new(key, " ".join(value.lower().split()).encode(), hashlib.sha256).hexdigest()


def author_rows(repository: Repository, input_id: str, key: bytes) -> Iterator[dict[str, Any]]:
    """Yield a row of `authors` for each author of a repository.

    Args:
        repository: with its authors in the clear.
        input_id: of the input that it came from.
        key: of the workspace.
    """
    for email, name, commits in repository.authors:
        yield {
            "repo_id": repository.repo_id,
            "revision": repository.revision,
            "email_hash": keyed_hash(key, author(email)),
            "name_hash": keyed_hash(key, name),
            "commits": commits,
            "input_id": input_id,
        }
