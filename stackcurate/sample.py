"""The stages on a handful of files, without Spark: what the verbs show and notebooks start from."""

from __future__ import annotations

import pyarrow as pa

FILES = pa.schema([
    ("file_id", pa.string()), ("repo_id", pa.string()), ("revision", pa.string()), ("path", pa.string()),
    ("blob_id", pa.string()), ("size", pa.int64()), ("content", pa.binary()), ("error", pa.string()),
])  # fmt: skip
