"""Kernels: pure functions over Arrow arrays or bytes. Nothing below this folder imports pyspark.

A row-local kernel takes one array per column that its stage reads, all of one length N, and a frozen config,
and returns a record batch of N rows in the same order with exactly the columns that the stage adds:

    kernel(column_1, ..., column_n, config) -> pa.RecordBatch

Its laws, tested for all of them at once: f(a ++ b) = f(a) ++ f(b); the same answer in a fresh process with
another PYTHONHASHSEED; an empty batch gives an empty batch of the declared schema; a null row gives a row
of nulls; a sliced array is read at its offset. A row that fails gets nulls and a reason code in ``error``.
"""
