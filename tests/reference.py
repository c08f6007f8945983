"""The generated parts of README.md.

    python -m tests.reference                     # print the reference, made from the declarations
    python -m tests.reference --write             # write it into README.md: `make docs`
    python -m tests.reference --funnel RELEASE    # draw the funnel of a release, and write the line below the picture

`tests/test_readme.py` fails where README.md and the code differ.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pyarrow as pa
import typer

from stackcurate import schema
from stackcurate.cli import app
from stackcurate.kernels.license_evidence import REASONS
from stackcurate.kernels.license_policy import CLASSES
from stackcurate.kernels.malware import GRAVITY
from stackcurate.kernels.quality_opencoder import PREFIX
from stackcurate.kernels.quality_policy import QualityPolicy, _tests, limits
from stackcurate.pipeline import SECTIONS
from stackcurate.release import policy
from stackcurate.release.manifest import FUNNEL, MANIFEST
from stackcurate.release.report import svg
from stackcurate.sources.metadata import Reason
from stackcurate.stage import Stage
from stackcurate.stages import PIPELINE

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PICTURE = ROOT / "notebooks" / "funnel.svg"
BEGIN, END = "<!-- reference:begin -->", "<!-- reference:end -->"
FUNNEL_BEGIN, FUNNEL_END = "<!-- funnel:begin -->", "<!-- funnel:end -->"

POLICY_REASONS = {
    "opted_out": "a request names the owner, the repository, the file or the blob; `detail` is the request",
    "not_scanned": "the stage has not looked at the file, so nothing is known",
    "license_*": "class of the licence under the policy, where `[release] license_classes` does not list it",
    "unknown_language": "no rule knows the language, or the content is binary",
    "language_not_wanted": "the language is not among `[release] languages`",
    "generated": "generated, where `[release] generated` is false",
    "vendored": "third-party code, where `[release] vendored` is false",
    "malware_*": "a verdict that `[malware_policy] verdicts` lists; `detail` names the rules, and what is allowed",
    "contaminated": "holds the text of a benchmark, where `[release] contamination` is `drop`; `detail` names items",
    "exact_duplicate": "another file with the same bytes is kept; `detail` is its file_id",
    "near_duplicate": "a kept file has a verified similarity of at least the threshold; `detail` is its file_id",
}
"""What the codes mean that the policy and the election give. A code without a line here stops the generator."""

FAILURES = {
    "language": {"timeout": "a heuristic did not end", "failed": "anything else"},
    "license_scan": {"scancode:*": "ScanCode raised this exception; `status` is `error`"},
    "malware": {
        "max_bytes": "longer than `max_bytes`; not scanned to its end",
        "timeout": "took longer than `timeout_seconds`",
        "archive_damaged": "an archive, or one inside it, cannot be read to its end",
        "archive_encrypted": "a member of an archive is encrypted",
        "archive_unsupported": "an archive of a kind that is not opened: 7z, RAR, cabinet, Debian or RPM package, ...",
        "archive_depth": "more than `archive_depth` archives inside each other",
        "archive_members": "more than `archive_members` members",
        "archive_bytes": "more than `archive_bytes` unpacked, or a member beyond `max_bytes`",
        "archive_ratio": "a member unpacks to more than `archive_ratio` times its packed size",
        "pickle_opcodes": "a pickle has too many instructions",
        "*_failed": "this engine raised an exception",
    },
    "pii": {"too_large": "longer than `max_bytes`", "detector_failed": "a detector raised an exception"},
}
"""Codes in the column `error` of a stage's facts; the docstring of the stage's kernel names each."""


def reference() -> str:
    """Return the whole reference as Markdown."""
    parts = {
        "Stages": _stages(),
        "Tables": _tables(),
        "Config": _config(),
        "Verbs": _verbs(),
        "Reason codes": _reasons(),
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts.items())


def updated(readme: str) -> str:
    """Return the README with the reference made anew."""
    return between(readme, BEGIN, END, reference())


def between(text: str, begin: str, end: str, new: str) -> str:
    """Return a text with what stands between two markers replaced.

    Raises:
        ValueError: a marker is missing.
    """
    if begin not in text or end not in text:
        raise ValueError(f"README.md lacks {begin} or {end}")
    head, _, rest = text.partition(begin)
    return f"{head}{begin}\n{new}\n{end}{rest.partition(end)[2]}"


def picture(funnel: Mapping[str, Any]) -> str:
    """Return the funnel as an SVG that stands alone: with letters and a ground of its own."""
    style = "<style>text { font: 13px system-ui, sans-serif; fill: #1c2733 }</style>"
    return svg(funnel).replace(">", f'>\n{style}\n<rect width="100%" height="100%" fill="#fff"/>', 1) + "\n"


def caption(manifest: Mapping[str, Any], funnel: Mapping[str, Any]) -> str:
    """Return the picture's line in the README."""
    return (
        "![Files left after each stage](notebooks/funnel.svg)\n\n"
        f"What `make demo` leaves of **{funnel['files']:,}** files from {funnel['repositories']['read']} packages: "
        f"**{funnel['kept']['files']:,}** files in {len(manifest['languages'])} languages, "
        f"{manifest['content_bytes'] / 1e6:.1f} MB of text, {manifest['redactions']:,} spans redacted; each of the "
        "others has a stage, a reason and, where there is any, its evidence."
    )


def _table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [heading, ("---",) * len(heading), *(tuple(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Escape what would end a cell, and outside of code what would begin a tag."""
    tags = re.sub(r"`[^`]*`|<(?!br>)", lambda found: "&lt;" if found[0] == "<" else found[0], text)
    return tags.replace("|", "\\|")


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


# --- stages and tables ----------------------------------------------------------------------------------------


def _stages() -> str:
    rows = (_stage_row(stage) for stage in PIPELINE)
    heading = ("stage", "what it finds", "reads", "adds, to the key", "metrics", "config")
    return (
        "In the order in which they run. Each is a call on a DataFrame (`stages.quality(df)`), a verb "
        "(`stackcurate quality`) and, by its config section, a job (`jobs/quality.py`). What a column means stands "
        f"below, under the stage's table.\n\n{_table(heading, rows)}"
    )


def _stage_row(stage: Stage) -> tuple[str, ...]:
    table = f"[{stage.table.name}](#table-{stage.table.name})"
    return (
        f"`{stage.name}`",
        f"{stage.doc} Table {table}.",
        _code(dict.fromkeys((*stage.table.key, *stage.reads)))
        + (f"; tables {_code(stage.tables)}" if stage.tables else ""),
        f"{_code(stage.table.adds.names)}, to {_code(stage.table.key)}",
        "; ".join(f"`{name}`: `{sql}`" for name, sql in stage.metrics.items()),
        f"[`[{stage.section}]`](#config-{stage.section})",
    )


def _tables() -> str:
    intro = (
        "The tables of a workspace, and `release`: the rows of the published shards. **Bold** columns are the key. "
        "Null means not known unless a column says otherwise."
    )
    return "\n\n".join([intro, *(_one_table(table) for table in (*schema.TABLES, schema.RELEASE))])


def _one_table(table: schema.Table) -> str:
    rows = (
        (f"**`{name}`**" if name in table.key else f"`{name}`", _type(field.type), *_meaning(field))
        for name, field in _flat(table.columns)
    )
    columns = _table(("column", "type", "unit", "meaning"), rows)
    return f'#### <a id="table-{table.name}"></a>{table.name}\n\n{table.doc}\n\n{columns}'


def _flat(columns: Iterable[pa.Field], prefix: str = "") -> Iterator[tuple[str, pa.Field]]:
    """Yield each column with its name, and behind a list of records the columns of these."""
    for field in columns:
        yield prefix + field.name, field
        if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
            yield from _flat(field.type.value_type, f"{prefix}{field.name}[].")


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {'records' if pa.types.is_struct(kind.value_type) else _type(kind.value_type)}"
    return "timestamp, UTC" if pa.types.is_timestamp(kind) else str(kind)


def _meaning(field: pa.Field) -> tuple[str, str]:
    metadata = field.metadata or {}
    return metadata.get(b"unit", b"").decode(), metadata.get(b"doc", b"").decode()


# --- config and verbs -----------------------------------------------------------------------------------------


def _config() -> str:
    intro = "A TOML file with one table per section; `--set section.key=value` on every verb overrides a value."
    return "\n\n".join([intro, *(_section(name, kind) for name, kind in SECTIONS.items())])


def _section(name: str, kind: Any) -> str:
    hints = get_type_hints(kind)
    rows = [
        (f"`{field.name}`", _hint(hints[field.name]), f"`{_toml(field.default)}`", field.metadata["doc"])
        for field in fields(kind)
    ]
    about = str(kind.__doc__).splitlines()[0]
    body = f"\n\n{_table(('key', 'type', 'default', 'meaning'), rows)}" if rows else ""
    return f'#### <a id="config-{name}"></a>[{name}]\n\n{about}{body}'


def _hint(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and hint is not tuple else "list of str"


def _toml(value: Any) -> str:
    """Return a default as TOML spells it."""
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:_}"


def _verbs() -> str:
    commands: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
    without = _code(name for name, command in commands.items() if "config" not in _parameters(command))
    rows = (_verb_row(name, command) for name, command in commands.items())
    return (
        f"All but {without} take `--config FILE` and `--set section.key=value`; `stackcurate VERB --help` shows an "
        f"example of each.\n\n{_table(('verb', 'what it does', 'further arguments'), rows)}"
    )


def _parameters(command: Any) -> dict[str, Any]:
    return {parameter.name: parameter for parameter in command.params}


def _verb_row(name: str, command: Any) -> tuple[str, ...]:
    about = " ".join(command.help.split("\n\n")[0].split())
    own = {n: p for n, p in _parameters(command).items() if n not in ("config", "overrides")}
    return f"`{name}`", about, "<br>".join(_argument(parameter) for parameter in own.values())


def _argument(parameter: Any) -> str:
    flags = [flag for flag in parameter.opts if flag.startswith("-")]
    return f"`{' '.join(flags) or parameter.name.upper()}` {parameter.help}"


# --- reason codes ---------------------------------------------------------------------------------------------


def _reasons() -> str:
    heading = ("code", "meaning")
    failures = ((f"`{s}`", f"`{code}`", doc) for s, codes in FAILURES.items() for code, doc in codes.items())
    parts = [
        "Every file that was read and is not in a release has a stage and a reason, in `funnel.json` and in the table "
        f"`decisions`. Its stage is the first of these whose facts speak against it: {_code(policy.ORDER)}.",
        "**Sources**, stage `files`: why a file, or a repository, was not read.",
        _table(heading, ((f"`{reason.value}`", reason.doc) for reason in Reason)),
        "**Licences**, in `license_reason`. A file passes under the first two where the class of its licence is one "
        "that the release takes; under `no_license` only where `[policy]` says so.",
        _table(heading, ((f"`{code}`", doc) for code, doc in REASONS.items())),
        "**Quality**: the limit of [`[quality_policy]`](#config-quality_policy) that the file exceeds.",
        _table(heading, quality_codes()),
        f"**Policy and election**. Classes of licences: {_code(CLASSES)}. Verdicts on malware: {_code(GRAVITY)}.",
        _table(heading, ((f"`{code}`", POLICY_REASONS[code]) for code in policy_codes())),
        "**Failures**, in the column `error`: the stage could not do its work on this row. The file is not published.",
        _table(("stage", *heading), failures),
    ]
    return "\n\n".join(parts)


def policy_codes() -> list[str]:
    """Return the reason codes in the source of policy and election; one that is put together at run time ends in `*`.

    Raises:
        ValueError: a code has no line in `POLICY_REASONS`, or a line there has no code.
    """
    election = Path(policy.__file__).with_name("election.py")
    texts = [text for call in _calls(policy.__file__, "_verdict") for text in _strings(call.args[2])]
    codes = [code for text in texts for code in _quoted(text)]
    codes += [text for call in _calls(election, "lit") for text in _strings(call.args[0])]
    other = {*policy.ORDER, *(reason.value for reason in Reason)}
    found = [code for code in dict.fromkeys(codes) if code not in other]
    if odd := set(found) ^ set(POLICY_REASONS):
        raise ValueError(f"POLICY_REASONS and the code differ in {sorted(odd)}")
    return found


def _quoted(sql: str) -> list[str]:
    """Return the literals of an SQL expression; of a concatenation the first, as a pattern."""
    words = sql.split("'")[1::2]
    return [f"{words[0]}*"] if sql.startswith("concat(") else words


def _calls(path: str | Path, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and name == getattr(node.func, "attr", getattr(node.func, "id", None)):
            yield node


def _strings(node: ast.AST) -> list[str]:
    return [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def quality_codes() -> Iterator[tuple[str, str]]:
    """Yield each code of the quality policy and the keys behind it: each limit is switched on alone."""
    facts = [*schema.QUALITY.adds, *schema.LANGUAGE.adds, *schema.SIGNALS.adds, schema.FILES.columns.field("size")]
    columns = {field.name: pa.array([], field.type) for field in facts}
    found: dict[str, list[str]] = {"binary": []}
    for name in limits():
        only: dict[str, Any] = {"preset": "none", name: 1}
        codes = [code for code, _ in list(_tests(columns, QualityPolicy(**only)))[1:]]
        for code in dict.fromkeys(f"{PREFIX}*" if code.startswith(PREFIX) else code for code in codes):
            found.setdefault(code, []).append(name)
    docs = {field.name: field.metadata["doc"] for field in fields(QualityPolicy)}
    for code, names in found.items():
        meaning = "; ".join(f"`{name}`: {docs[name]}" for name in names)
        yield f"`{code}`", meaning or "no text in any encoding that is known; no policy keeps it"


def main(arguments: list[str]) -> None:
    """Print the reference, write it into README.md, or draw the funnel of a release."""
    readme = README.read_text(encoding="utf-8")
    if "--funnel" in arguments:
        release = Path(arguments[arguments.index("--funnel") + 1])
        manifest, funnel = (json.loads((release / name).read_text()) for name in (MANIFEST, FUNNEL))
        PICTURE.write_text(picture(funnel), encoding="utf-8")
        README.write_text(between(readme, FUNNEL_BEGIN, FUNNEL_END, caption(manifest, funnel)), encoding="utf-8")
    elif "--write" in arguments:
        README.write_text(updated(readme), encoding="utf-8")
    else:
        sys.stdout.write(reference() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
