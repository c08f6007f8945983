"""Errors: one tree, and messages that say what to do."""

from __future__ import annotations

import inspect

import pytest

from stackcurate import errors
from stackcurate.errors import ConfigError, SchemaError, StackcurateError


def test_all_errors_hang_on_one_tree_that_the_docstring_draws() -> None:
    classes = [one for _, one in inspect.getmembers(errors, inspect.isclass) if one.__module__ == errors.__name__]

    assert len(classes) == 8
    assert all(issubclass(one, StackcurateError) for one in classes)
    assert all(one.__name__ in str(errors.__doc__) and one.__doc__ for one in classes)


@pytest.mark.parametrize(
    ("name", "hint"), [("qualty", "did you mean 'quality'?"), ("zebra", "known: licenses, quality")]
)
def test_unknown_name_gets_the_nearest_known_one(name: str, hint: str) -> None:
    error = ConfigError.unknown("section", name, ["quality", "licenses"], "build.toml")

    assert str(error) == f"build.toml: unknown section {name!r}; {hint}"


def test_missing_columns_are_named_beside_those_there() -> None:
    error = SchemaError.missing("stage 'pii'", iter(("blob_id", "content")), iter(("blob_id", "path")))

    assert str(error) == "stage 'pii' reads ['content'], which the table lacks; it has ['blob_id', 'path']"
