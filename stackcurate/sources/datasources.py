"""Python Data Sources: what `stackcurate repos` and `stackcurate files` read, as `spark.read.format(...)`.

    register(spark)
    spark.read.format("stackcurate.gharchive").option("since", "2024-01-01").load("s3://bucket/gharchive")
    spark.read.format("stackcurate.github").option("repositories", "octocat/hello-world").load()
    spark.read.format("stackcurate.git").load("repositories.txt").where("path like '%.py' and size < 100000")
    spark.read.format("stackcurate.archives").load("s3://bucket/sdists")
    spark.read.format("stackcurate.swh").option("contents", "s3://bucket/content").load("lists/swh")

This module imports PySpark, and needs no JVM: readers run wherever they are called.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession
from pyspark.sql.datasource import (
    DataSource,
    DataSourceReader,
    EqualTo,
    Filter,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    InputPartition,
    LessThan,
    LessThanOrEqual,
    StringContains,
    StringEndsWith,
    StringStartsWith,
)
from pyspark.sql.types import StructType

from stackcurate import schema
from stackcurate.config import Config, load
from stackcurate.errors import ConfigError
from stackcurate.sources import git_urls
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.gharchive import HourFile, hour_files, read_hour
from stackcurate.sources.github import BATCH, by_name, describe, owned, wanted_of
from stackcurate.sources.github_client import Client
from stackcurate.sources.github_tokens import read_tokens
from stackcurate.sources.inputs import discover, only
from stackcurate.sources.inputs import read as read_input
from stackcurate.sources.local import Input
from stackcurate.sources.metadata import Entry, file_row
from stackcurate.sources.repos_config import ReposConfig
from stackcurate.stage import spark_schema
from stackcurate.stages.tables import in_batches

HOURS = schema.REPO_HOURS.columns.append(schema.ARCHIVE_HOURS.columns.field("error"))
"""Rows of `stackcurate.gharchive`: those of `repo_hours`; an hour that is not whole has one more, with the reason."""
FILE_ROWS = pa.schema([
    *(field for field in schema.FILES.columns if field.name != "input_id"),
    ("source", pa.string()), ("content", pa.binary()),
])  # fmt: skip
"""Rows of files with their contents: those of `files`, and `source`, the input as its list or folder names it; a
repository that is not whole has one more row, with the reason and no path."""
_GITHUB_OPTIONS = ("repositories", "owners", "tokens_file", "tokens_env", "api_url")
_LIMITS = tuple(field.name for field in fields(SourcesConfig) if field.name not in ("inputs", "snapshot"))
_ROWS = 10_000
"""Rows of a batch of an hour."""
_PUSHDOWN = "spark.sql.python.filterPushdown.enabled"


def register(spark: SparkSession) -> None:
    """Make the sources known to a session, and let it hand its filters to them."""
    for source in (GhArchive, GitHub, GitFiles, ArchiveFiles, SoftwareHeritageFiles):
        spark.dataSource.register(source)
    spark.conf.set(_PUSHDOWN, "true")


class GhArchive(DataSource):  # type: ignore[misc]  # PySpark without types
    """Hours of GH Archive. Options: `path`, `since`, `until`, as in `[repos]`."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "stackcurate.gharchive"

    def schema(self) -> StructType:
        """Return the columns."""
        return spark_schema(HOURS)

    def reader(self, schema: StructType) -> GhArchiveReader:  # noqa: ARG002 - Spark's signature
        """Return the reader of the hours that the options name."""
        given = _options(self.options, ("path", "since", "until"))
        if "path" not in given:
            raise ConfigError("stackcurate.gharchive: expected a path: a folder, URI or address of hourly files")
        return GhArchiveReader(hour_files(given["path"], given.get("since", ""), given.get("until", "")))


class GhArchiveReader(DataSourceReader):  # type: ignore[misc]  # PySpark without types
    """Read hours, one per task; filters on `hour` spare whole files, those on `repo_id` rows."""

    def __init__(self, files: list[HourFile]) -> None:
        self._files = files
        self._wanted: set[str] | None = None

    def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:  # noqa: N802 - Spark's name
        """Take note of filters; Spark applies all of them again."""
        for one in filters:
            column, value = getattr(one, "attribute", None), getattr(one, "value", None)
            if column == ("hour",) and type(one) in _HOLDS and isinstance(value, datetime):
                self._files = [file for file in self._files if _HOLDS[type(one)](file.hour, _aware(value))]
            elif column == ("repo_id",) and isinstance(one, EqualTo | In):
                values = set(one.value) if isinstance(one, In) else {one.value}
                self._wanted = values if self._wanted is None else self._wanted & values
        return filters

    def partitions(self) -> list[InputPartition]:
        """Return a partition per hour."""
        return [InputPartition(file) for file in self._files]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the rows of an hour, and one more with the reason where it is not whole."""
        summary, rows = read_hour(partition.value)
        if self._wanted is not None:
            rows = rows.filter(pc.is_in(rows["repo_id"], value_set=pa.array(self._wanted, pa.string())))
        for first in range(0, rows.num_rows, _ROWS):
            some = rows.slice(first, _ROWS)
            yield pa.RecordBatch.from_arrays([*some.columns, pa.nulls(some.num_rows, pa.string())], schema=HOURS)
        if summary["error"]:
            damage = {"hour": summary["hour"], "error": summary["error"]}
            yield pa.RecordBatch.from_pylist([damage], schema=HOURS)


class GitHub(DataSource):  # type: ignore[misc]  # PySpark without types
    """GitHub's API. Options: `repositories` and `owners`, separated by commas; `tokens_file`, `tokens_env`, `api_url`.

    A task per token. Tokens are read where tasks run, from the same file or variable; they are no option, since
    options stand in plans.
    """

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "stackcurate.github"

    def schema(self) -> StructType:
        """Return the columns."""
        return spark_schema(schema.REPO_RECORDS.columns)

    def reader(self, schema: StructType) -> GitHubReader:  # noqa: ARG002 - Spark's signature
        """Return the reader of what the options name."""
        given = _options(self.options, _GITHUB_OPTIONS)
        settings = [f"repos.{name}={given[name]}" for name in ("tokens_file", "tokens_env", "api_url") if name in given]
        config: Config = load(None, {"repos": ReposConfig}, settings)
        return GitHubReader(_words(given, "repositories"), _words(given, "owners"), config["repos"])


class GitHubReader(DataSourceReader):  # type: ignore[misc]  # PySpark without types
    """Ask the API, a task per token, each with its share of the names."""

    def __init__(self, names: list[str], owners: list[str], config: ReposConfig) -> None:
        self._names = [str(one.name) for one in by_name(names)]
        self._owners, self._config = owners, config

    def partitions(self) -> list[InputPartition]:
        """Return a partition per token that has something to do: its place, names and owners; never the token."""
        blocks = [self._names[n : n + BATCH] for n in range(0, len(self._names), BATCH)]
        tokens = len(self._tokens())
        shares = [(n, [name for block in blocks[n::tokens] for name in block], self._owners[n::tokens])
                  for n in range(tokens)]  # fmt: skip
        return [InputPartition(share) for share in shares if share[1] or share[2]]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Return `repo_records`."""
        place, names, owners = partition.value
        client = Client([self._tokens()[place]], self._config.api_url)
        wanted = [*by_name(names), *(wanted_of(one) for owner in owners for one in owned(client, owner))]
        rows = describe(client, wanted)
        return in_batches(rows, schema.REPO_RECORDS.columns)

    def _tokens(self) -> list[Any]:
        return read_tokens(self._config.tokens_file, self._config.tokens_env)


class _Files(DataSource):  # type: ignore[misc]  # PySpark without types
    """Files with their contents. Options: `path`, and the limits of `[sources]`."""

    format: ClassVar[str]
    kind: ClassVar[str]

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return f"stackcurate.{cls.format}"

    def schema(self) -> StructType:
        """Return the columns."""
        return spark_schema(FILE_ROWS)

    def reader(self, schema: StructType) -> FilesReader:  # noqa: ARG002 - Spark's signature
        """Return the reader of the inputs that the path names."""
        given = _options(self.options, ("path", *_LIMITS))
        if "path" not in given:
            raise ConfigError(f"{self.name()}: expected a path, as `stackcurate files --urls` takes it")
        inputs = discover([only(self.kind, given.pop("path"))])
        config = load(None, {"sources": SourcesConfig}, [f"sources.{name}={value}" for name, value in given.items()])
        return FilesReader(inputs, config["sources"])


class GitFiles(_Files):
    """Repositories of a list of addresses, fetched into the cache of mirrors; options as `[sources] git_*`."""

    format, kind = "git", "git"


class ArchiveFiles(_Files):
    """Archives, repositories and folders below a folder, or archives below a URI."""

    format, kind = "archives", "local"


class SoftwareHeritageFiles(_Files):
    """The Stack in any layout, as `stackcurate files --source swh` lists an export; `contents` names the store."""

    format, kind = "swh", "the-stack"


class FilesReader(DataSourceReader):  # type: ignore[misc]  # PySpark without types
    """Read inputs, one per task, and spare what filters bar.

    Filters on `source` spare inputs, those on `repo_id` repositories (those of a list of addresses before they are
    fetched), those on `path` and `size` contents.
    """

    def __init__(self, inputs: list[Input], config: SourcesConfig) -> None:
        self._inputs, self._config = inputs, config
        self._filters: list[tuple[str, Filter]] = []

    def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:  # noqa: N802 - Spark's name
        """Take note of filters; Spark applies all of them again."""
        self._filters = [(".".join(one.attribute), one) for one in filters if type(one) in _HOLDS]
        return filters

    def partitions(self) -> list[InputPartition]:
        """Return a partition per repository, archive or file."""
        return [InputPartition(one) for one in self._inputs if self._admits(_known(one))]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Return the files of an input, and a row with the reason for each repository that is not whole."""
        return in_batches(self._rows(partition.value), FILE_ROWS)

    def _rows(self, one: Input) -> Iterator[dict[str, Any]]:
        for repository, entries in read_input(one, self._config, wanted=self._wants):
            row = {"repo_id": repository.repo_id, "revision": repository.revision, "source": repository.source}
            if not self._admits(row):
                continue
            if repository.error:
                yield {**row, "error": repository.error}
            for entry in filter(self._wants, entries):
                yield {**row, **file_row(repository, entry), "content": entry.content}

    def _wants(self, entry: Entry) -> bool:
        return not self._filters or self._admits({"path": entry.path, "size": entry.size})

    def _admits(self, known: Mapping[str, Any]) -> bool:
        """Tell whether filters let through a row of which some values are known already."""
        pairs = ((known.get(column), one) for column, one in self._filters)
        return all(value is None or _HOLDS[type(one)](value, one.value) for value, one in pairs)


def _known(one: Input) -> dict[str, Any]:
    remote = {"repo_id": git_urls.described(one).repo_id} if one.kind == git_urls.KIND else {}
    return {"source": one.name, **remote}


_HOLDS: dict[type[Filter], Callable[[Any, Any], bool]] = {
    EqualTo: operator.eq,
    GreaterThan: operator.gt,
    GreaterThanOrEqual: operator.ge,
    LessThan: operator.lt,
    LessThanOrEqual: operator.le,
    In: lambda one, others: one in others,
    StringStartsWith: str.startswith,
    StringEndsWith: str.endswith,
    StringContains: operator.contains,
}


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _options(options: Mapping[str, str], known: tuple[str, ...]) -> dict[str, str]:
    for name in options:
        if name.lower() not in known:
            raise ConfigError.unknown("option", name, known, "stackcurate sources")
    return {name.lower(): value for name, value in options.items()}


def _words(given: Mapping[str, str], name: str) -> list[str]:
    return [word.strip() for word in given.get(name, "").split(",") if word.strip()]
