"""The tables of repositories and their metadata; `stackcurate.schema` has them beside all others."""

from __future__ import annotations

import pyarrow as pa

from stackcurate.schema_columns import column, table

_STRING, _INT, _BOOL = pa.string(), pa.int64(), pa.bool_()
_TIME = pa.timestamp("us", tz="UTC")

REPO_ID = column(
    "repo_id", _STRING, "host and identity of the repository, such as `pypi/six`; `github/` and its number where known"
)
INPUT_ID = column("input_id", _STRING, "digest of the input's name and state, from which the row was read")
ERROR = column("error", _STRING, "reason code; null where all went well")

REPO_RECORD = pa.schema(
    [
        column("owner_id", _INT, "number of the account at the host; transfers change it, renames do not"),
        column("owner_type", _STRING, "`user` or `organization`"),
        column("fork", _BOOL, "it is a fork"),
        column("fork_of", _STRING, "repo_id of what it was forked from"),
        column("stars", _INT, "stargazers"),
        column("forks", _INT, "forks"),
        column("size", _INT, "size of the repository as the host gives it, in steps of 1024", "bytes"),
        column("host_license", _STRING, "the licence that the host guesses; a hint, never proof"),
        column("default_branch", _STRING, "branch that HEAD names"),
        column("archived", _BOOL, "it is read-only"),
        column("created_at", _TIME, "when it was made"),
        column("pushed_at", _TIME, "last push"),
        column("recorded_at", _TIME, "when the host said so; null where only single fields are known"),
    ]
)
"""What a host says of a repository at one time."""
ACCOUNT = pa.struct([column("owner", _STRING, "name at that time"), column("owner_id", _INT, "its number at the host")])

ARCHIVE_HOURS = table(
    "archive_hours",
    "Hours of GH Archive that were read, and how well.",
    column("hour", _TIME, "the hour"),
    column("location", _STRING, "file or address that was read"),
    INPUT_ID,
    column("bytes", _INT, "JSON that was read", "bytes"),
    column("events", _INT, "distinct events"),
    column("torn_lines", _INT, "lines with an object that is cut; whole ones beside it were read"),
    column("joined_lines", _INT, "lines with several whole objects"),
    column("duplicate_events", _INT, "events whose id was there before"),
    column("events_without_repository", _INT, "events of no repository, or of one without a number"),
    column("error", _STRING, "`missing`, `truncated`, `corrupt` or `unreadable`; null where the hour is whole"),
)

REPO_HOURS = table(
    "repo_hours",
    "What an hour of GH Archive says of a repository: events to count, names, the last record.",
    column("hour", _TIME, "the hour"),
    REPO_ID,
    column("names", pa.list_(_STRING), "owner and name, each that it bore in this hour, in order of time"),
    column("events", _INT, "number of its events"),
    column("star_events", pa.list_(_INT), "ids of the events that gave it a star"),
    column("fork_events", pa.list_(_INT), "ids of the events that forked it"),
    column("last_event_at", _TIME, "last event"),
    *REPO_RECORD,
    key=2,
)

REPO_RECORDS = table(
    "repo_records",
    "Repositories as their host describes them, one row each: what is selected from before anything is downloaded.",
    REPO_ID,
    column("host", _STRING, "`github`"),
    column("host_id", _INT, "number of the repository at the host; the same after renames and transfers"),
    column("owner", _STRING, "account or organisation that has it now"),
    column("name", _STRING, "its name now"),
    column("former_names", pa.list_(_STRING), "owner and name that it bore before"),
    column("accounts", pa.list_(ACCOUNT), "accounts that have or had it, whose numbers an event or the host told"),
    column("head", _STRING, "commit of the default branch at the time of the record"),
    *REPO_RECORD,
    column("source", _STRING, "`gharchive` or `github`"),
    column("error", _STRING, "`deleted`, `blocked` or `private` at the time of the record; null where it is public"),
)

REPOS = table(
    "repos",
    "Repositories and packages, one row for each revision.",
    REPO_ID,
    column("revision", _STRING, "commit id; for an archive SHA-256 of its bytes, for a folder SHA-1 of its listing"),
    column("host", _STRING, "where it lives: `git`, `pypi`, `npm`, `local`, ..."),
    column("owner", _STRING, "account or organisation; a package without one stands under its own name"),
    column("name", _STRING, "name below the owner"),
    column("owner_type", _STRING, "`user` or `organization`"),
    column("owner_id", _INT, "number of the account at the host"),
    column("fork_of", _STRING, "repo_id of what this was forked from"),
    column("stars", _INT, "stargazers at the time of the record"),
    column("forks", _INT, "forks at the time of the record"),
    column("default_branch", _STRING, "branch that HEAD names"),
    column("version", _STRING, "version that the package declares"),
    column("created_at", _TIME, "first commit or upload that is known"),
    column("pushed_at", _TIME, "last commit or newest member"),
    column("host_license", _STRING, "what the host or the package's metadata claims; a hint, never proof"),
    column("source_kind", _STRING, "`git`, `sdist`, `wheel`, `npm`, `tar`, `zip` or `directory`"),
    column("source", _STRING, "name of the input below the folder that was given"),
    INPUT_ID,
    ERROR,
    key=2,
)
