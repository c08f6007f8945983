"""A stage: what it reads, what it adds, and the kernel or the transform between the two.

One declaration gives the library call, the Spark transform, the job, the command, the input check, the
metrics and the row in the reference. PySpark is imported on use.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stackcurate import schema
from stackcurate.blobs import BlobReader
from stackcurate.config import digest
from stackcurate.errors import ConfigError, SchemaError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

Batches = Iterator[pa.RecordBatch]
RowFunction = Callable[[Batches], Batches]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of the pipeline. Calling it turns a DataFrame into its facts.

    Args:
        name: subject; also the verb and the job.
        section: section of the config; the name where left out.
        table: the facts: `table.key` and what is added to it.
        reads: columns read beside the key.
        config: dataclass of the section.
        kernel: row-local work, ``kernel(*columns, config) -> RecordBatch``; named as ``module:function`` below
            ``stackcurate.kernels``, so that declaring a stage imports nothing heavy.
        transform: instead of a kernel, ``transform(df, config, **tables) -> DataFrame``.
        tables: further tables that a transform takes by name.
        requires: distributions whose version is part of the facts' digest, `python` among them.
        modules: modules below ``stackcurate`` whose code is part of the facts' digest, beside the kernel's.
        data: folders below ``stackcurate/data`` whose files are part of the facts' digest.
        settings: values of the config that are part of the facts' digest; all of them where left out.
        files: values of the config that name files or folders, whose content is part of the facts' digest.
        service: version of a server that the facts depend on, from the section; part of the facts' digest.
        after: stages whose facts this one reads: their digest is part of its own.
        metrics: name to SQL aggregate over the facts.
    """

    name: str
    table: schema.Table
    reads: tuple[str, ...]
    config: type
    kernel: str | None = None
    transform: Callable[..., DataFrame] | None = None
    tables: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    service: Callable[[Any], str] | None = None
    after: tuple[Stage, ...] = ()
    metrics: Mapping[str, str] = field(default_factory=dict)
    section: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "section", self.section or self.name)

    @property
    def doc(self) -> str:
        """One line on the facts."""
        return self.table.doc

    def __call__(self, df: DataFrame, config: Any = None, **tables: DataFrame) -> DataFrame:
        """Return the facts of each row: exactly the key and the columns added.

        Args:
            df: holds the key and the columns read, `content` among them where it is read.
            config: a value of the stage's config; None means defaults.
            tables: what `tables` names.

        Raises:
            SchemaError: a column or a table is missing.
        """
        config = self.config() if config is None else config
        self.check(df.columns)
        if missing := [name for name in self.tables if name not in tables]:
            raise SchemaError(f"stage {self.name!r} needs the tables {missing}; it was given {sorted(tables)}")
        columns = list(dict.fromkeys((*self.table.key, *self.reads)))
        if self.transform is not None:
            return self.transform(df.select(*columns), config, **tables).select(*self.table.columns.names)
        return df.select(*columns).mapInArrow(self.rows(config), spark_schema(self.table.columns))

    def check(self, columns: list[str]) -> None:
        """Raise SchemaError where the key or a column that is read is missing."""
        wanted = (*self.table.key, *self.reads)
        if any(name not in columns for name in wanted):
            raise SchemaError.missing(f"stage {self.name!r}", wanted, columns)

    def rows(self, config: Any, blobs: BlobReader | None = None) -> RowFunction:
        """Return the row-local work as a function over record batches, for `mapInArrow` and for plain loops.

        Args:
            config: a value of the stage's config.
            blobs: where contents come from if the batches lack `content`; they then hold `blob_id` and `size`.
        """
        return partial(_rows, stage=self, config=config, blobs=blobs)

    def function(self) -> Callable[..., pa.RecordBatch]:
        """Import and return the kernel."""
        assert self.kernel is not None, f"stage {self.name} has no kernel"
        module, _, name = self.kernel.partition(":")
        kernel: Callable[..., pa.RecordBatch] = getattr(import_module(f"stackcurate.kernels.{module}"), name)
        return kernel

    def digest(self, config: Mapping[str, Any]) -> str:
        """Return the digest of all that makes the facts: code, versions, this section and the stages before.

        Args:
            config: sections by name.
        """
        section = config[self.section]
        parts = [self.name, str(schema.VERSION), str(self.table.columns)]
        parts += [repr([getattr(section, name) for name in self.settings]) if self.settings else digest(section)]
        parts += [_file_digest(path) for name in self.files for path in _paths(getattr(section, name))]
        parts += [f"{name}=={_version(name)}" for name in self.requires]
        parts += [_source_digest(name) for name in (*self._modules(), *self.modules)]
        parts += [_data_digest(name) for name in self.data]
        parts += [self.service(section)] if self.service else []
        parts += [stage.digest(config) for stage in self.after]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _modules(self) -> tuple[str, ...]:
        if self.kernel is not None:
            return (f"kernels.{self.kernel.partition(':')[0]}",)
        assert self.transform is not None, f"stage {self.name} has neither kernel nor transform"
        return (inspect.unwrap(self.transform).__module__.removeprefix("stackcurate."),)


def _rows(batches: Batches, *, stage: Stage, config: Any, blobs: BlobReader | None) -> Batches:
    kernel = stage.function()
    for batch in batches:
        for rows in _with_content(stage, batch, blobs):
            facts = kernel(*(rows[name] for name in stage.reads), config=config)
            keys = [rows[name] for name in stage.table.key]
            columns = [*keys, *(facts[name] for name in stage.table.adds.names)]
            yield pa.RecordBatch.from_arrays(columns, names=stage.table.columns.names).cast(stage.table.columns)


def _with_content(stage: Stage, batch: pa.RecordBatch, blobs: BlobReader | None) -> Batches:
    if "content" not in stage.reads or "content" in batch.schema.names or blobs is None:
        return iter([batch])
    return blobs.attach(batch)


def spark_schema(columns: pa.Schema, after: DataFrame | None = None) -> StructType:
    """Return the Spark type of an Arrow schema; the columns of a DataFrame come first where one is given."""
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructType

    plain = pa.schema([pa.field(f.name, f.type) for f in columns])
    added = from_arrow_schema(plain, prefer_timestamp_ntz=False)
    return added if after is None else StructType([*after.schema.fields, *added.fields])


def _version(name: str) -> str:
    """Return the version of a distribution; of Python the minor one, which fixes its syntax and characters."""
    return "{}.{}".format(*sys.version_info) if name == "python" else version(name)


def _paths(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths that a value of a config names."""
    return value if isinstance(value, tuple) else (value,) if value else ()


def _file_digest(path: str) -> str:
    """Return the digest of a file, or of all files below a folder with their names."""
    try:
        if not Path(path).is_dir():
            return hashlib.sha256(Path(path).read_bytes()).hexdigest()
        files = sorted(file for file in Path(path).rglob("*") if file.is_file())
        digests = [f"{file.relative_to(path)} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
        return hashlib.sha256("\n".join(digests).encode("utf-8", "surrogateescape")).hexdigest()
    except OSError as error:
        raise ConfigError(f"{error.filename or path}: {error.strerror}") from error


def _source_digest(module: str) -> str:
    *folders, name = module.split(".")
    return hashlib.sha256(package_files("stackcurate").joinpath(*folders, f"{name}.py").read_bytes()).hexdigest()


def _data_digest(folder: str) -> str:
    total = hashlib.sha256()
    for path in sorted(package_files("stackcurate").joinpath("data", folder).iterdir(), key=lambda p: p.name):
        if path.is_file():
            total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()
