"""Documents: headers, fill-in-the-middle, repositories."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

from stackcurate.train.documents import (
    END,
    MIDDLE,
    PREFIX,
    SUFFIX,
    Document,
    DocumentConfig,
    Piece,
    documents,
)
from stackcurate.train.shards import COLUMNS
from tests.train.releases import row

PLAIN = {"repository_share": 0.0, "path_share": 0.0, "stars_share": 0.0}


def make(count: int = 400, **values: float | str) -> list[Document]:
    rows = [row(f"owner/{n % 50}", f"src/{n}.py", f"text {n} of a file\n" * 3, stars=n) for n in range(count)]
    table = pa.Table.from_pylist([{name: one[name] for name in COLUMNS} for one in rows])
    return list(documents(table, 0, 0, 1, DocumentConfig(**values)))  # type: ignore[arg-type]


def spelled(pieces: tuple[Piece, ...]) -> str:
    return "".join(piece if isinstance(piece, str) else piece[0] for piece in pieces)


def restored(pieces: tuple[Piece, ...]) -> str:
    """Return the content of a rearranged document without header."""
    parts: dict[str, str] = {}
    name = ""
    for piece in pieces:
        if isinstance(piece, tuple):
            name = piece[0]
        else:
            parts[name] = parts.get(name, "") + "\0" * (name in parts) + piece
    if "\0" in parts.get(MIDDLE, ""):
        parts[PREFIX], parts[MIDDLE] = parts[MIDDLE].split("\0")
    return parts.get(PREFIX, "") + parts.get(MIDDLE, "") + parts.get(SUFFIX, "")


def test_a_plain_document_is_the_content_and_an_end() -> None:
    found = make(3, fim_rate=0.0, **PLAIN)

    assert [one.pieces for one in found] == [(f"text {n} of a file\n" * 3, (END,)) for n in range(3)]


def test_a_full_header_is_spelled_as_starcoder_spells_it() -> None:
    found = make(31, fim_rate=0.0, repository_share=1.0, path_share=1.0, stars_share=1.0)

    assert spelled(found[30].pieces).startswith(
        "<reponame>owner/30<filename>src/30.py<gh_stars>10-100\ntext 30 of a file\n"
    )


def test_shares_decide_independently() -> None:
    found = [spelled(one.pieces) for one in make(2000, repository_share=0.2, path_share=0.5, stars_share=0.9)]

    for name, share in (("<reponame>", 0.2), ("<filename>", 0.5), ("<gh_stars>", 0.9), (PREFIX, 0.5)):
        assert abs(sum(name in text for text in found) / 2000 - share) < 0.04
    both = sum("<reponame>" in text and "<filename>" in text for text in found) / 2000
    assert abs(both - 0.1) < 0.03


def test_fill_in_the_middle_loses_nothing() -> None:
    found = make(fim_rate=1.0, **PLAIN)
    kinds = Counter(one.pieces[1] == (SUFFIX,) for one in found)

    # a cut may leave the prefix empty, then both orders begin alike
    assert 150 < kinds[True] < 250
    assert all(one.pieces[0] == (PREFIX,) and one.pieces[-1] == (END,) for one in found)
    whole = [one for one in found if sum(isinstance(piece, str) for piece in one.pieces) == 3]
    assert len(whole) > 350
    assert [restored(one.pieces) for one in whole] == [f"text {one.rows[0][1]} of a file\n" * 3 for one in whole]


def test_choices_depend_on_pass_and_row_alone() -> None:
    rows = [{name: row("o/r", f"{n}.py", "some text " * 9)[name] for name in COLUMNS} for n in range(40)]
    table = pa.Table.from_pylist(rows)
    config = DocumentConfig()

    first = list(documents(table, 5, 0, 1, config))

    assert first == list(documents(table, 5, 0, 1, config))
    assert first != list(documents(table, 5, 1, 1, config))
    assert first != list(documents(table, 6, 0, 1, config))
    assert first != list(documents(table, 5, 0, 2, config))
    assert first[:10] == list(documents(table.slice(0, 10), 5, 0, 1, config))


def test_a_repository_is_one_document_in_starcoder2() -> None:
    found = make(format="starcoder2", metadata_share=1.0, fim_rate=0.0)

    assert len(found) == 50
    pieces = found[0].pieces
    assert pieces[:3] == (("<repo_name>",), "owner/0", ("<file_sep>",))
    assert pieces.count(("<file_sep>",)) == 8
    assert pieces[-1] == (END,)
    texts = [piece for piece in pieces[2:] if isinstance(piece, str)]
    assert sorted(texts) == sorted(f"src/{n}.py\n" + f"text {n} of a file\n" * 3 for n in range(0, 400, 50))
    assert [number for _, number in found[0].rows] != sorted(number for _, number in found[0].rows)


def test_files_of_a_repository_are_rearranged_one_by_one() -> None:
    found = make(format="starcoder2", metadata_share=0.5, fim_rate=0.5, fim_file_rate=0.5)
    rearranged = [one.pieces.count((PREFIX,)) for one in found]

    assert 15 <= sum(count > 0 for count in rearranged) <= 35
    assert max(rearranged) < 8
    assert 15 <= sum(one.pieces[0] == ("<repo_name>",) for one in found) <= 35


@pytest.mark.parametrize(
    ("values", "message"),
    [({"format": "llama"}, "format is one of"), ({"fim_rate": 1.5}, "fim_rate is a share")],
)
def test_bad_config_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DocumentConfig(**values)  # type: ignore[arg-type]


def test_an_empty_file_is_an_end_alone() -> None:
    table = pa.Table.from_pylist([{name: row("o/r", "a", "")[name] for name in COLUMNS}])

    assert [one.pieces for one in documents(table, 0, 0, 0, DocumentConfig(fim_rate=1.0, **PLAIN))] == [((END,),)]
