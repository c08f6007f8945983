"""Documents: the text of files with the metadata header of StarCoder or StarCoder2, and fill-in-the-middle.

A document is a list of pieces: text to tokenise, and special tokens by name. Text is cut in characters before it is
tokenised, so that a model learns to go on from anywhere in a word. Every choice is a hash of (seed, pass over the row
group, row group, row).

With StarCoder2's format, the files of a repository that lie in one row group are one document: a repository of several
languages, or one that goes on in the next row group, makes several.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from stackcurate.config import setting
from stackcurate.train.order import draw_units

END = "<|endoftext|>"
PREFIX, MIDDLE, SUFFIX, PAD = "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>"
FIM = (PREFIX, MIDDLE, SUFFIX, PAD)
SPECIAL_TOKENS: dict[str, tuple[str, ...]] = {
    "starcoder": (
        END, *FIM, "<filename>", "<gh_stars>", "<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>",
        "<jupyter_text>", "<jupyter_code>", "<jupyter_output>", "<empty_output>", "<commit_before>", "<commit_msg>",
        "<commit_after>", "<reponame>",
    ),
    "starcoder2": (
        END, *FIM, "<repo_name>", "<file_sep>", "<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>",
        "<jupyter_text>", "<jupyter_code>", "<jupyter_output>", "<jupyter_script>", "<empty_output>",
        "<code_to_intermediate>", "<intermediate_to_code>", "<pr>", "<pr_status>", "<pr_is_merged>", "<pr_base>",
        "<pr_file>", "<pr_base_code>", "<pr_diff>", "<pr_diff_hunk>", "<pr_comment>", "<pr_event_id>", "<pr_review>",
        "<pr_review_state>", "<pr_review_comment>", "<pr_in_reply_to_review_id>", "<pr_in_reply_to_comment_id>",
        "<pr_diff_hunk_comment_line>", "<NAME>", "<EMAIL>", "<KEY>", "<PASSWORD>",
    ),
}  # fmt: skip
"""Special tokens in the order of their ids. Source: the tokenisers of bigcode/starcoder and bigcode/starcoder2-15b."""
USED_TOKENS = {
    "starcoder": (END, PREFIX, MIDDLE, SUFFIX, "<reponame>", "<filename>", "<gh_stars>"),
    "starcoder2": (END, PREFIX, MIDDLE, SUFFIX, "<repo_name>", "<file_sep>"),
}
"""Special tokens that the documents of a format hold."""
STAR_BUCKETS = ((0, "0"), (10, "1-10"), (100, "10-100"), (1000, "100-1000"))
MOST_STARS = "1000+"
"""Stars up to a number, as a header spells them. Source: StarCoder (2023), section 3.2."""
_DRAWS = 9
"""Numbers per row: place, rearranged or not, two cuts, three parts of the header, place in the repository, SPM."""

Piece = str | tuple[str]
"""Text, or the name of a special token in a tuple of one."""


@dataclass(frozen=True, kw_only=True)
class DocumentConfig:
    """How files become documents."""

    format: str = setting("starcoder", "`starcoder`: a file is a document; `starcoder2`: a repository is")
    repository_share: float = setting(0.2, "starcoder: share of files whose header names the repository")
    path_share: float = setting(0.2, "starcoder: share of files whose header names the path")
    stars_share: float = setting(0.2, "starcoder: share of files whose header tells the stars")
    metadata_share: float = setting(0.5, "starcoder2: share of repositories with their name and paths")
    fim_rate: float = setting(0.5, "share of documents that are rearranged to fill in the middle")
    fim_file_rate: float = setting(0.5, "starcoder2: share of files in such a document that are rearranged")
    fim_spm_share: float = setting(0.5, "share of the rearranged with the suffix first (SPM); the rest is PSM")

    def __post_init__(self) -> None:
        if self.format not in SPECIAL_TOKENS:
            raise ValueError(f"format is one of {', '.join(SPECIAL_TOKENS)}, not {self.format!r}")
        for name, value in vars(self).items():
            if isinstance(value, float) and not 0 <= value <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {value}")


class Document(NamedTuple):
    """One document: its place among those of a block, the (row group, row) of its files, and its pieces."""

    place: float
    rows: tuple[tuple[int, int], ...]
    pieces: tuple[Piece, ...]


class _File(NamedTuple):
    number: int
    repo: str
    revision: str
    path: str
    content: str
    stars: int | None
    draws: list[float]


def documents(rows: pa.Table, group: int, turn: int, seed: int, config: DocumentConfig) -> Iterator[Document]:
    """Yield the documents of a row group.

    Args:
        rows: repo, revision, path, content and stars of its rows; null stars are unknown.
        group: index of the row group in the release.
        turn: how often the row group was read before.
        seed: of the run.
        config: the format.
    """
    draws = draw_units(rows.num_rows * _DRAWS, seed, "row", turn, group).reshape(-1, _DRAWS).tolist()
    columns = (rows[name].to_pylist() for name in ("repo", "revision", "path", "content", "stars"))
    files = [_File(number, *row) for number, row in enumerate(zip(*columns, draws, strict=True))]
    if config.format == "starcoder":
        for file in files:
            yield Document(file.draws[0], ((group, file.number),), tuple(_starcoder(file, config)))
        return
    repositories: dict[tuple[str, str], list[_File]] = {}
    for file in files:
        repositories.setdefault((file.repo, file.revision), []).append(file)
    for members in repositories.values():
        first, order = members[0], sorted(members, key=lambda file: file.draws[7])
        pieces = tuple(_starcoder2(order, first.draws, config))
        yield Document(first.draws[0], tuple((group, file.number) for file in order), pieces)


def _starcoder(file: _File, config: DocumentConfig) -> Iterator[Piece]:
    """Yield `<reponame>R<filename>P<gh_stars>S`, each by its share, a line feed, and the content."""
    header: list[tuple[str, str]] = []
    if file.draws[4] < config.repository_share:
        header.append(("<reponame>", file.repo))
    if file.draws[5] < config.path_share:
        header.append(("<filename>", file.path))
    if file.draws[6] < config.stars_share and file.stars is not None:
        header.append(("<gh_stars>", star_bucket(file.stars)))
    for name, value in header[:-1]:
        yield (name,)
        yield value
    before = ""
    if header:
        yield (header[-1][0],)
        before = header[-1][1] + "\n"
    if file.draws[1] < config.fim_rate and file.content:
        if before:
            yield before
        yield from fill_in_the_middle(file.content, "", file.draws, config)
    elif before or file.content:
        yield before + file.content
    yield (END,)


def _starcoder2(files: list[_File], draws: list[float], config: DocumentConfig) -> Iterator[Piece]:
    """Yield `<repo_name>R` and for each file `<file_sep>`, its path, a line feed and the content; or bare contents."""
    told = draws[4] < config.metadata_share
    rearranged = draws[5] < config.fim_rate
    if told:
        yield ("<repo_name>",)
        yield files[0].repo
    for file in files:
        yield ("<file_sep>",)
        before = f"{file.path}\n" if told else ""
        if rearranged and file.draws[1] < config.fim_file_rate and file.content:
            yield from fill_in_the_middle(file.content, before, file.draws, config)
        elif before or file.content:
            yield before + file.content
    yield (END,)


def fill_in_the_middle(text: str, before: str, draws: list[float], config: DocumentConfig) -> Iterator[Piece]:
    """Yield prefix, suffix and middle of a text that is cut at two characters.

    Args:
        text: at least one character.
        before: what the prefix begins with, never cut.
        draws: the numbers of the row, in [0, 1).
        config: how many have the suffix first.
    """
    start, stop = sorted(int(draw * (len(text) + 1)) for draw in draws[2:4])
    prefix, middle, suffix = before + text[:start], text[start:stop], text[stop:]
    order: tuple[Piece, ...] = ((PREFIX,), prefix, (SUFFIX,), suffix, (MIDDLE,), middle)
    if draws[8] < config.fim_spm_share:
        order = ((PREFIX,), (SUFFIX,), suffix, (MIDDLE,), prefix, middle)
    return (piece for piece in order if piece)


def star_bucket(stars: int) -> str:
    """Return the stars as a header spells them.

    >>> [star_bucket(stars) for stars in (0, 1, 10, 11, 1000, 1001)]
    ['0', '1-10', '1-10', '10-100', '100-1000', '1000+']
    """
    return next((name for most, name in STAR_BUCKETS if stars <= most), MOST_STARS)
