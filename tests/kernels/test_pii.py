"""Personal data in whole files: the graded cases, encodings, the laws of a kernel."""

import codecs

import pyarrow as pa
import pytest

from stackcurate import schema
from stackcurate.kernels import pii, spans
from stackcurate.kernels.network_addresses import ips
from stackcurate.kernels.pii import PiiConfig
from tests.lockfiles import lockfiles
from tests.pii_cases import CASES, Case, failure

KEY = b"a key of this test"


def redacted(content, path):
    return spans.redact(content, pii.find_spans(content), path=path, repo_id="r", key=KEY)[0]


@pytest.mark.parametrize("case", CASES, ids=[f"case{case.number}" for case in CASES])
def test_graded_case(case: Case):
    assert failure(case) == ""


def test_all_cases_of_the_table_are_there():
    assert {case.number for case in CASES} == set(range(1, 70))


@pytest.mark.parametrize("seed", range(3))
def test_digests_versions_and_identifiers_of_lockfiles_stay(seed):
    for path, text in lockfiles(seed):
        content = text.encode()
        assert [(path, content[span.start - 50 : span.end]) for span in pii.find_spans(content)] == []


def test_case_11_name_and_address_share_their_number():
    source = b'{"author": "Karin Lindqvist <karin@lindqvist.se>", "bugs": "karin@lindqvist.se"}'
    result = redacted(source, "package.json").decode()
    number = result.split("REDACTED_NAME_")[1].split()[0]
    assert result.count(f"user{number}@redacted.invalid") == 2


def test_case_65_a_bad_byte_elsewhere():
    content = b"# caf\xe9\n# mail karin@firma.se\n# Author: Jos\xe9 M\xfcller\n# Author: " + "José Berg\n".encode()
    result = redacted(content, "a.py")
    assert result.startswith(b"# caf\xe9\n# mail <EMAIL>\n# Author: <NAME>\n")
    assert b"Berg" not in result


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_case_66_wide_encodings_keep_encoding_and_line_ends(encoding):
    mark = {
        "utf-16-le": codecs.BOM_UTF16_LE,
        "utf-16-be": codecs.BOM_UTF16_BE,
        "utf-32-le": codecs.BOM_UTF32_LE,
        "utf-32-be": codecs.BOM_UTF32_BE,
    }[encoding]
    text = "// \N{GRINNING FACE} hello\r\n// mail karin@firma.se now\r\n"
    content = mark + text.encode(encoding)
    (span,) = pii.find_spans(content)
    assert content[span.start : span.end].decode(encoding) == "karin@firma.se"
    result = redacted(content, "a.cs")
    assert result.startswith(mark)
    before, _, after = result[len(mark) :].decode(encoding).partition("user")
    assert before == "// \N{GRINNING FACE} hello\r\n// mail "
    assert after.endswith("@redacted.invalid now\r\n")


def test_case_66_carriage_returns_and_a_mark_stay():
    content = codecs.BOM_UTF8 + b"# a\r\n# Author: Karin Lindqvist\r\n\r\n"
    assert redacted(content, "a.py") == codecs.BOM_UTF8 + b"# a\r\n# Author: <NAME>\r\n\r\n"


def test_case_67_at_the_first_byte_and_at_the_last():
    assert redacted(b"karin@firma.se", "AUTHORS") == b"<EMAIL>"
    assert redacted(b"#!/home/karinl/bin/python\n", "a.py").startswith(b"#!/home/user")


def test_spans_are_bytes_in_order_and_inside_the_file():
    content = "# é Author: José Müller <jose@firma.se>, 山田太郎 <taro@firma.jp>\nx = 'karin@firma.se'\n".encode()
    found = pii.find_spans(content)
    assert found == sorted(found)
    values = {content[span.start : span.end].decode() for span in found}
    assert values == {"José Müller", "jose@firma.se", "山田太郎", "taro@firma.jp", "karin@firma.se"}


def test_a_name_is_found_again_where_no_anchor_stands():
    content = b"# Author: Karin Lindqvist\n\n# see the notes of Karin Lindqvist, not Karin Lindqvistson\n"
    assert redacted(content, "a.py") == b"# Author: <NAME>\n\n# see the notes of <NAME>, not Karin Lindqvistson\n"


@pytest.mark.parametrize("fill", ["x = 1; ", "日本語 "])
def test_long_lines_are_read_in_pieces(fill):
    filler = fill * 700
    content = f"{filler}'karin@firma.se'{filler}'bob@firma.se'{filler}".encode()
    values = [content[span.start : span.end] for span in pii.find_spans(content)]
    assert values == [b"karin@firma.se", b"bob@firma.se"]


@pytest.mark.parametrize("gap", range(3_500, 4_200, 7))
def test_nothing_is_lost_between_two_pieces(gap):
    content = b"y" * gap + b" karin@firma.se " + b"y" * 4_500
    assert [(span.start, span.end) for span in pii.find_spans(content)] == [(gap + 1, gap + 15)]


def test_the_batch_has_the_schema_and_rows_stand_alone():
    rows = [b"# karin@firma.se", None, b"\0binary karin@firma.se", b"", b"x = 1", b"# Author: Karin Lindqvist" * 9]
    whole = pii.find(pa.array(rows, pa.binary()))
    assert whole.schema == schema.PII.adds
    assert whole.column("spans").to_pylist()[1] is None
    assert whole.column("spans").to_pylist()[2:5] == [[], [], []]
    assert whole.column("error").null_count == len(rows)
    parts = [pii.find(pa.array(rows, pa.binary()).slice(at, 2)) for at in range(0, len(rows), 2)]
    assert pa.Table.from_batches(parts).to_pylist() == pa.Table.from_batches([whole]).to_pylist()
    assert pii.find(pa.array([], pa.large_binary())).num_rows == 0


def test_config_limits_what_is_reported():
    content = [b"# Author: Karin Lindqvist <karin@firma.se>"]
    only = pii.find(content, PiiConfig(entities=("EMAIL",)))
    assert {span["entity"] for span in only.column("spans").to_pylist()[0]} == {"EMAIL"}
    assert pii.find(content, PiiConfig(max_bytes=5)).to_pylist() == [{"spans": None, "error": "too_large"}]
    failed = pii.find([b"issue reported by Xiuying Zhangqiong"], PiiConfig(model="no_such_model")).to_pylist()
    assert failed == [{"spans": None, "error": "detector_failed"}]
    with pytest.raises(ValueError, match="entities"):
        PiiConfig(entities=("PET",))
    with pytest.raises(ValueError, match="min_score"):
        PiiConfig(min_score=2)


def test_a_word_that_ends_in_ver_is_no_version() -> None:
    address = ".".join(("81", "2", "69", "142"))
    found = [bool(list(ips(f'{name} = "{address}"'))) for name in ("SERVER", "RECEIVER", "myVer", "server_version")]

    assert found == [True, True, False, False]
