"""Every table of a workspace and of a release: the one place that spells a column's name.

A table has a key; a table of facts adds columns to that key. Column docs and units travel in the Arrow
field metadata, and the README's reference is generated from them. Null means "not known" unless a column
says otherwise; ``error`` is null where all went well and a short reason code elsewhere.
"""

from __future__ import annotations

import pyarrow as pa

from stackcurate import schema_columns, schema_repos, schema_signals

VERSION = 2
"""Raised when a column changes its meaning; a workspace of another version is refused."""

Table = schema_columns.Table
column, table = schema_columns.column, schema_columns.table
ARCHIVE_HOURS, REPO_HOURS = schema_repos.ARCHIVE_HOURS, schema_repos.REPO_HOURS
REPO_RECORD, REPO_RECORDS = schema_repos.REPO_RECORD, schema_repos.REPO_RECORDS
REPOS = schema_repos.REPOS

_STRING, _INT, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float32(), pa.bool_()
_TIME = pa.timestamp("us", tz="UTC")

_REPO_ID, _INPUT_ID, _ERROR = schema_repos.REPO_ID, schema_repos.INPUT_ID, schema_repos.ERROR
_FILE_ID = column("file_id", _STRING, "SHA-1 of repository, revision and path: one occurrence of a blob")
_BLOB_ID = column("blob_id", _STRING, "git SHA-1 of the source bytes")

FILES = table(
    "files",
    "Occurrences of files, one row each, readable or not.",
    _FILE_ID,
    _REPO_ID,
    column("revision", _STRING, "as in `repos`"),
    column("path", _STRING, "path in the repository; bytes that are no UTF-8 written as `\\xNN`"),
    column("blob_id", _STRING, "git SHA-1 of the bytes; null where they were not read"),
    column("size", _INT, "size of the content", "bytes"),
    column("mode", pa.int32(), "Unix mode as git keeps it"),
    _INPUT_ID,
    _ERROR,
)

AUTHORS = table(
    "authors",
    "Authors of the commits of a repository, as hashes under the key of the workspace.",
    _REPO_ID,
    column("revision", _STRING, "as in `repos`"),
    column("email_hash", _STRING, "HMAC-SHA-256 of what stands for the e-mail in requests, itself a hash"),
    column("name_hash", _STRING, "HMAC-SHA-256 of the name in lower case, spaces as one"),
    column("commits", _INT, "commits looked at that bear both; 0: stands for all that were not looked at"),
    _INPUT_ID,
    key=4,
)

BLOBS = table(
    "blobs",
    "Contents, in packs sorted by blob_id.",
    _BLOB_ID,
    column("size", _INT, "length of the content", "bytes"),
    column("content", pa.binary(), "the bytes as they were found"),
)

DETECTION = pa.struct(
    [
        column("expression", _STRING, "SPDX expression of the match"),
        column("rule", _STRING, "ScanCode rule"),
        column("matcher", _STRING, "ScanCode matcher: `1-hash`, `1-spdx-id`, `2-aho`, `3-seq`"),
        column("kind", _STRING, "`text`, `notice`, `tag`, `reference`, `intro` or `clue`"),
        column("score", _FLOAT, "ScanCode score", "percent"),
        column("coverage", _FLOAT, "share of the rule that was matched", "percent"),
        column("start_line", pa.int32(), "first line, from 1"),
        column("end_line", pa.int32(), "last line, inclusive"),
    ]
)

LICENSE_DETECTIONS = table(
    "license_detections",
    "What ScanCode found in a blob, read as a file of one kind.",
    _BLOB_ID,
    column("scanned_as", _STRING, "file name or extension that ScanCode's answer depends on"),
    column("status", _STRING, "`complete`, `deadline`, `error`, `skipped_size` or `binary`"),
    column("detections", pa.list_(DETECTION), "matches in order of their lines"),
    column("declared", _STRING, "licence statement of a package manifest, as written"),
    column("unmatched", _STRING, "restrictive words left over in a licence file, for review"),
    column("holders", pa.list_(_STRING), "copyright holders that ScanCode found in a legal text or a header"),
    _ERROR,
    key=2,
)

LICENSES = table(
    "licenses",
    "The licence of each occurrence and the evidence for it.",
    _FILE_ID,
    column("license", _STRING, "SPDX expression; null where none applies"),
    column(
        "license_source",
        _STRING,
        "`header`, `reuse`, `directory`, `manifest`, `root`, `readme`, `label` or null",
    ),
    column(
        "license_reason",
        _STRING,
        "reason code: `resolved`, `no_license`, `explicit_denial`, `needs_review`, ...",
    ),
    column("license_path", _STRING, "file that holds the evidence"),
    column("license_blob_id", _STRING, "blob that holds the evidence"),
    column("license_blob_ids", pa.list_(_STRING), "licence files to pass on: the evidence, and the nearest folder's"),
    column("notice_blob_ids", pa.list_(_STRING), "notices to pass on: those of the nearest folder that has any"),
    column("license_lines", _STRING, "lines of the evidence, such as `1-21`"),
    column("license_rule", _STRING, "ScanCode rule that matched"),
    _ERROR,
)

LANGUAGE = table(
    "language",
    "Language of each occurrence, as Linguist spells it.",
    _FILE_ID,
    column("language", _STRING, "Linguist's name; null where it is open"),
    column("language_type", _STRING, "`programming`, `markup`, `data` or `prose`"),
    column("strategy", _STRING, "what decided: `attributes`, `extension`, `heuristics`, `classifier`, `repository`..."),
    column("vendored", _BOOL, "third-party code, by its path or `.gitattributes`"),
    column("generated", _BOOL, "generated code, by path, content or `.gitattributes`"),
    column("documentation", _BOOL, "documentation, by its path or `.gitattributes`"),
    column("detectable", _BOOL, "of a type that counts among a repository's languages, or so by `.gitattributes`"),
    column("agent_file", _BOOL, "instructs a coding assistant, by its path, such as `AGENTS.md`; a label"),
    column("ignored_override", _STRING, "language in `.gitattributes` that Linguist does not know; null where none"),
    _ERROR,
)

QUALITY = table(
    "quality",
    "Encoding and measures of the text of each blob.",
    _BLOB_ID,
    column("encoding", _STRING, "`utf-8`, `utf-8-sig`, `utf-16`, `utf-32`, `latin-1`; null for binary content"),
    column("lines", _INT, "number of lines"),
    column("line_length_max", _INT, "longest line", "characters"),
    column("line_length_mean", _FLOAT, "mean length of a line", "characters"),
    column("alphanumeric_fraction", _FLOAT, "share of letters and digits", "1"),
    column("alphabetic_fraction", _FLOAT, "share of letters", "1"),
    column("encoded_fraction", _FLOAT, "share of the text that is base64, hex or escaped bytes", "1"),
    column("encoded_run_max", _INT, "longest run of these", "characters"),
    column("autogenerated", _BOOL, "one of the first five lines says that a tool wrote the file"),
    column("xml_start", _BOOL, "an XML declaration stands at the beginning"),
    column("ai_mark", _STRING, "assistant that the text names as its author, such as `copilot`; null where none"),
    _ERROR,
)

SIGNALS = table(
    "signals",
    "The quality signals of OpenCoder for each occurrence, read as a file of its language.",
    _FILE_ID,
    column("rules", _STRING, "rules that the language falls under, such as `python`, `data`, `text` or `others`"),
    column("signals", schema_signals.SIGNALS, "OpenCoder's names less their prefix; null where one does not apply"),
    column("parse_errors", _FLOAT, "share of bytes that tree-sitter has no rule for; null where it was not asked", "1"),
    _ERROR,
)

NEAR_DUP_BANDS = table(
    "near_dup_bands",
    "The banded sketch of each blob: the index that later snapshots join.",
    _BLOB_ID,
    column("shingles", _INT, "number of distinct shingles, estimated by the repeat filter's upper bound"),
    column("bands", pa.list_(pa.int64()), "one key per band; null where the text is too short to sketch"),
    _ERROR,
)

NEAR_DUP_EDGES = table(
    "near_dup_edges",
    "Pairs of similar blobs, smaller id on the left.",
    column("left_blob_id", _STRING, "the smaller blob_id"),
    column("right_blob_id", _STRING, "the larger blob_id"),
    column("similarity", _FLOAT, "exact Jaccard similarity of the shingle sets; null where `verify` is off", "1"),
    key=2,
)

NEAR_DUPS = table(
    "near_dups",
    "The cluster of each blob: connected components of the verified edges.",
    _BLOB_ID,
    column("cluster_id", _STRING, "smallest blob_id of the cluster; its own id where nothing is similar"),
    column("generation", pa.int32(), "0 in a run on all blobs, 1 for those that the next run added, ..."),
    _ERROR,
)

FINDING = pa.struct(
    [
        column("engine", _STRING, "`hash`, `unicode`, `pickle`, `yara` or `clamd`"),
        column("rule", _STRING, "rule that fired"),
        column("rule_set", _STRING, "rule set and version"),
        column("verdict", _STRING, "what the rule asks for: `label`, `quarantine` or `drop`"),
        column("license", _STRING, "licence of the rule, `unknown` where its file does not say"),
        column("author", _STRING, "author that the rule names, as some licences ask to pass on"),
        column("start", _INT, "first byte of the match", "bytes"),
        column("end", _INT, "byte after the match", "bytes"),
        column("member", _STRING, "file inside the archive, whose place `start` and `end` tell; null outside archives"),
    ]
)

MALWARE = table(
    "malware",
    "Verdict on each blob; an unfinished scan is never clean.",
    _BLOB_ID,
    column("verdict", _STRING, "`clean`, `label`, `quarantine`, `drop` or `incomplete`: the gravest finding"),
    column("findings", pa.list_(FINDING), "what fired, in order of engine, rule and span"),
    _ERROR,
)

SPAN = pa.struct(
    [
        column("start", _INT, "first byte in the source", "bytes"),
        column("end", _INT, "byte after the span", "bytes"),
        column("entity", _STRING, "`NAME`, `USERNAME`, `EMAIL`, `IP_ADDRESS`, `KEY`, `PASSWORD`, `PHONE`, ..."),
        column("rule", _STRING, "detector and rule"),
        column("score", _FLOAT, "confidence", "1"),
    ]
)

PII = table(
    "pii",
    "Personal data and secrets in each blob: where they stand, never what they are.",
    _BLOB_ID,
    column("spans", pa.list_(SPAN), "found spans in order of start; they may overlap"),
    _ERROR,
)

OVERLAP = pa.struct(
    [
        column("benchmark", _STRING, "name of the benchmark"),
        column("item", _STRING, "its record, such as `HumanEval/0`"),
        column("field", _STRING, "field of the record whose text was found"),
        column("coverage", _FLOAT, "share of the text's windows that stand here", "1"),
        column("start", _INT, "first byte in the source", "bytes"),
        column("end", _INT, "byte after the overlap", "bytes"),
    ]
)

CONTAMINATION = table(
    "contamination",
    "Texts of benchmarks in each blob.",
    _BLOB_ID,
    column("overlaps", pa.list_(OVERLAP), "items that were found, in order of benchmark and item"),
    _ERROR,
)

OPT_OUTS = table(
    "opt_outs",
    "Requests to be left out.",
    column("request_id", _STRING, "given by the requests' file, else a digest of the request"),
    column(
        "kind",
        _STRING,
        "`owner`, `repository`, `file`, `blob`, `author` or `commit`; `issue` and `stackoverflow` name what no release "
        "holds yet; null where unreadable",
    ),
    column("value", _STRING, "what is opted out, normalised: lower case, no `@`, no URL; an e-mail as its hash"),
    column("requested_at", _STRING, "date of the request, as given"),
    column("scope", _STRING, "`now` or `now_and_future`"),
    column("source", _STRING, "file and line of the request; null where the row is another name for what one means"),
    column("state", _STRING, "`active`, `withdrawn` or `unreadable`"),
)

OPT_OUT_MATCHES = table(
    "opt_out_matches",
    "The request that takes an occurrence out.",
    _FILE_ID,
    column("request_id", _STRING, "first request that matches; null where none does"),
    _ERROR,
)

DECISIONS = table(
    "decisions",
    "What a release decided on each file, and why.",
    _FILE_ID,
    _REPO_ID,
    column("revision", _STRING, "as in `files`"),
    column("path", _STRING, "as in `files`"),
    column("blob_id", _STRING, "as in `files`"),
    column("kept", _BOOL, "the file is in the release"),
    column("stage", _STRING, "stage whose facts decided; null where kept"),
    column("reason", _STRING, "reason code; null where kept"),
    column("detail", _STRING, "evidence: rule, licence, request or kept file; where kept: what is allowed, and why"),
    column("shard", _STRING, "path of the shard in the release; null where dropped"),
)

LOOKUP = table(
    "lookup",
    "What a name or a blob means in a release; sorted by `key`, so that a question reads a few row groups.",
    column("key", _STRING, "owner, name, `owner/name`, repo_id, in lower case; or a blob_id"),
    _REPO_ID,
    column("revision", _STRING, "as in `files`"),
    column("repo", _STRING, "owner and name"),
    key=3,
)

RELEASE = table(
    "release",
    "A row of a release's shards: one file.",
    column("repo", _STRING, "owner and name"),
    column("revision", _STRING, "commit id, or digest of the archive"),
    column("path", _STRING, "path in the repository"),
    column("content", _STRING, "the text, redacted, as UTF-8"),
    column("repo_id", _STRING, "as in `repos`"),
    column("language", _STRING, "Linguist's name"),
    column("size", _INT, "length of the content", "bytes"),
    column("blob_id", _STRING, "git SHA-1 of the source bytes"),
    column("content_id", _STRING, "git SHA-1 of the released bytes"),
    column("license", _STRING, "SPDX expression"),
    column("license_type", _STRING, "class under the release's policy"),
    column("license_source", _STRING, "where the licence was found"),
    column("license_path", _STRING, "file that holds the evidence"),
    column("stars", _INT, "stargazers of the repository"),
    column("forks", _INT, "forks of the repository"),
    column("created_at", _TIME, "first commit or upload that is known"),
    column("pushed_at", _TIME, "last commit or newest member"),
    column("vendored", _BOOL, "the path is that of third-party code"),
    column("generated", _BOOL, "path or content is that of generated code"),
    column("cluster_id", _STRING, "near-duplicate cluster"),
    column("benchmarks", _STRING, "benchmarks whose texts the file holds, between commas; null where none"),
    column("redactions", pa.int32(), "number of spans that were replaced"),
    key=3,
)

TABLES: tuple[Table, ...] = (
    ARCHIVE_HOURS,
    REPO_HOURS,
    REPO_RECORDS,
    REPOS,
    FILES,
    AUTHORS,
    BLOBS,
    LICENSE_DETECTIONS,
    LICENSES,
    LANGUAGE,
    QUALITY,
    SIGNALS,
    NEAR_DUP_BANDS,
    NEAR_DUP_EDGES,
    NEAR_DUPS,
    MALWARE,
    CONTAMINATION,
    PII,
    OPT_OUTS,
    OPT_OUT_MATCHES,
    DECISIONS,
    LOOKUP,
)
"""All tables of a workspace, in the order in which they come to be."""
