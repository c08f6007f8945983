r"""Measures equal to a plain reference on real files; policies; laws of a kernel."""

import random
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pyarrow as pa
import pytest

from stackcurate import schema
from stackcurate.errors import SchemaError
from stackcurate.kernels.content import decode
from stackcurate.kernels.quality import measure
from stackcurate.kernels.quality_policy import PRESETS, QualityPolicy, reasons

CHUNK = 1 << 20
PACKAGES = ("numpy", "pyarrow", "pygments", "datasketch", "spacy")
RUNS = (
    r"[A-Za-z0-9+/]{64,}={0,2}",
    r"(?:0[xX][0-9a-fA-F]{1,16}[uUlL]{0,3}\s{0,80},\s{0,80}){8,}",
    r"(?:\\x[0-9a-fA-F]{2}){8,}",
    r"(?:\\u[0-9a-fA-F]{4}){8,}",
)


def reference(content: bytes) -> dict[str, object]:
    """Measure one text as plainly as the definitions read."""
    text, encoding = decode(content)
    if text is None:
        return dict.fromkeys(schema.QUALITY.adds.names)
    lengths = [len(line) for line in text.splitlines()]
    runs = [match[0] for run in RUNS for match in re.finditer(run, text)]
    size = max(len(text), 1)
    return {
        "encoding": encoding,
        "lines": len(lengths),
        "line_length_max": max(lengths, default=0),
        "line_length_mean": sum(lengths) / max(len(lengths), 1),
        "alphanumeric_fraction": sum(c.isalnum() for c in text) / size,
        "alphabetic_fraction": sum(c.isalpha() for c in text) / size,
        "encoded_fraction": sum(len(run) for run in runs if any(c.isalnum() for c in run)) / size,
        "error": None,
    }


def single(value: object) -> object:
    return pa.scalar(value, pa.float32()).as_py() if isinstance(value, float) else value


def assert_as_reference(contents: list[bytes]) -> None:
    for content, row in zip(contents, measure(contents).to_pylist(), strict=True):
        assert row == {name: single(value) for name, value in reference(content).items()}


def real_files(number: int) -> list[bytes]:
    root = Path(sysconfig.get_paths()["purelib"])
    paths = sorted(p for name in PACKAGES for p in root.joinpath(name).rglob("*") if p.is_file() and p.suffix != ".so")
    chosen = random.Random(3).sample(paths, min(number, len(paths)))
    return [p.read_bytes() for p in chosen if p.stat().st_size < 300_000]


def test_equals_the_reference_on_real_files() -> None:
    contents = real_files(450)

    assert len(contents) >= 300
    assert sum(decode(content)[0] is None for content in contents) > 0
    assert sum(not content.isascii() for content in contents) > 5
    assert_as_reference(contents)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n\n",
        "a",
        "a\r\nb\rc\nd\x0be\x0cf\x1cg\x85h\u2028i\u2029",
        "日本語 Ünïcödé ٣٤ ² ½ Ⅷ 🎉 \u0300",
        "\ufeffmark",
        "no end",
        "x" * CHUNK,
        "x" * (CHUNK - 1) + "\r\n" + "y",
        "x" * CHUNK + "\n",
        "x" * (2 * CHUNK + 5) + "\ny\n",
        ("x" * 99 + "\n") * (CHUNK // 64),
        "\r\n" * CHUNK,
    ],
)
def test_lines_and_characters_are_exact(text: str) -> None:
    assert_as_reference([text.encode()])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "latin-1"])
def test_encodings(encoding: str) -> None:
    content = "été = 'où'\n".encode(encoding)

    assert measure([content]).column("encoding").to_pylist() == [encoding]
    assert_as_reference([content])


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("aB3+" * 16, 1.0),
        ("aB3+" * 16 + "==", 1.0),
        ("aB3+" * 15, 0.0),
        ("=" * 80, 0.0),
        ("/" * 80, 0.0),
        ("0x1f, 0X2E,\n" * 4, 1.0),
        ("0x1fUL," * 7, 0.0),
        (r"\x00\xff" * 4, 1.0),
        (r"\u00e9" * 8, 1.0),
        (r"\u00e9" * 7, 0.0),
        ("é" * 64 + "aB3+" * 16, 0.5),
    ],
)
def test_encoded_share(text: str, encoded: float) -> None:
    assert measure([text]).column("encoded_fraction").to_pylist() == [encoded]
    assert_as_reference([text.encode()])


def test_laws_of_a_kernel() -> None:
    contents = pa.array([*real_files(40), None, b"\0binary", b""])

    whole = measure(contents)

    assert whole.schema.equals(schema.QUALITY.adds, check_metadata=True)
    assert measure(pa.array([], pa.large_binary())).schema.equals(schema.QUALITY.adds)
    assert measure(contents[:7]).to_pylist() + measure(contents[7:]).to_pylist() == whole.to_pylist()
    null, binary, empty = whole.to_pylist()[-3:]
    assert null == binary == dict.fromkeys(whole.schema.names)
    assert (empty["encoding"], empty["lines"], empty["alphabetic_fraction"]) == ("utf-8", 0, 0.0)


def test_import_is_light() -> None:
    program = "import stackcurate.kernels.quality, sys; assert not {'pyspark', 'regex', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def facts(**changes: object) -> dict[str, object]:
    good = {
        "language": "Python",
        "generated": False,
        "encoding": "utf-8",
        "lines": 10,
        "line_length_max": 80,
        "line_length_mean": 30.0,
        "alphanumeric_fraction": 0.7,
        "alphabetic_fraction": 0.6,
        "encoded_fraction": 0.0,
        "size": 300,
    }
    assert changes.keys() <= good.keys()
    return good | changes


def table_of(*rows: dict[str, object]) -> pa.Table:
    language = [schema.LANGUAGE.columns.field(name) for name in ("language", "generated")]
    return pa.Table.from_pylist(rows, pa.schema([*schema.QUALITY.adds, *language, pa.field("size", pa.int64())]))


def reason(policy: QualityPolicy, **changes: object) -> str | None:
    return reasons(table_of(facts(**changes)), policy).to_pylist()[0]


@pytest.mark.parametrize(
    ("preset", "changes", "code"),
    [
        ("starcoder2", {}, None),
        ("starcoder2", {"encoding": None}, "binary"),
        ("none", {"encoding": None}, "binary"),
        ("starcoder2", {"line_length_max": 0}, "empty"),
        ("starcoder2", {"generated": True}, "generated"),
        ("starcoder", {"generated": True}, None),
        ("starcoder2", {"lines": 100_001}, "too_many_lines"),
        ("starcoder2", {"line_length_max": 1000, "line_length_mean": 100.0}, None),
        ("starcoder2", {"line_length_max": 1001}, "long_line"),
        ("starcoder2", {"line_length_max": 1001, "language": "HTML"}, None),
        ("starcoder2", {"line_length_max": 100_001, "language": "HTML"}, "long_line"),
        ("starcoder", {"line_length_max": 1001, "language": "HTML"}, "long_line"),
        ("starcoder2", {"line_length_mean": 100.5}, "long_mean_line"),
        ("starcoder2", {"line_length_mean": 100.5, "language": "JSON"}, None),
        ("starcoder", {"alphanumeric_fraction": 0.25}, None),
        ("starcoder", {"alphanumeric_fraction": 0.24}, "low_alphanumeric"),
        ("starcoder2", {"alphabetic_fraction": 0.24}, "low_alphabetic"),
        ("starcoder", {"alphabetic_fraction": 0.24}, None),
        ("starcoder2", {"alphabetic_fraction": 0.24, "language": "WebAssembly"}, None),
        ("starcoder2", {"encoded_fraction": 0.5}, None),
        ("starcoder2", {"encoded_fraction": 0.51}, "encoded_data"),
        ("starcoder2", {"lines": 513, "language": "JSON"}, "data_file"),
        ("starcoder2", {"lines": 513}, None),
        ("starcoder2", {"language": None, "line_length_max": 1001}, "long_line"),
        ("starcoder2", {"generated": None}, None),
        ("none", {"line_length_max": 10**6, "generated": True, "lines": 10**6, "alphabetic_fraction": 0.0}, None),
    ],
)
def test_presets(preset: str, changes: dict[str, object], code: str | None) -> None:
    assert reason(QualityPolicy(preset=preset), **changes) == code


def test_limits_override_the_preset_and_the_first_reason_counts() -> None:
    assert reason(QualityPolicy(max_line_length=0), line_length_max=5000) is None
    assert reason(QualityPolicy(preset="none", max_line_length=79)) == "long_line"
    assert reason(QualityPolicy(max_bytes=299)) == "too_large"
    assert reason(QualityPolicy(max_encoded=0.1), encoded_fraction=0.1) is None
    assert reason(QualityPolicy(), generated=True, line_length_max=5000, encoded_fraction=1.0) == "generated"


def test_reasons_take_batches_tables_and_nothing() -> None:
    table = table_of(facts(), facts(line_length_max=2000), facts(encoding=None))
    chunked = pa.concat_tables([table, table])

    assert reasons(table.to_batches()[0]).to_pylist() == [None, "long_line", "binary"]
    assert reasons(chunked).to_pylist() == [None, "long_line", "binary"] * 2
    assert reasons(chunked[2:5]).to_pylist() == ["binary", None, "long_line"]
    assert reasons(table[:0]).to_pylist() == []


def test_a_missing_column_and_a_bad_limit_are_named() -> None:
    table = table_of(facts())

    with pytest.raises(SchemaError, match="encoding"):
        reasons(table.drop_columns(["encoding"]))
    with pytest.raises(SchemaError, match="size"):
        reasons(table.drop_columns(["size"]), QualityPolicy(max_bytes=5))
    with pytest.raises(ValueError, match="starcoder, starcoder2, none"):
        QualityPolicy(preset="starcoder3")
    with pytest.raises(ValueError, match="max_encoded: expected a share"):
        QualityPolicy(max_encoded=2.0)
    with pytest.raises(ValueError, match="max_lines"):
        QualityPolicy(max_lines=-2)


def test_presets_only_name_limits() -> None:
    known = QualityPolicy().__dict__.keys() - {"preset"}

    assert all(preset.keys() <= known for preset in PRESETS.values())
