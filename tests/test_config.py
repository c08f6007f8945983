"""Config: TOML and overrides to frozen sections, and what is wrong with them by name."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest

from stackcurate.config import digest, load, setting
from stackcurate.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A section."""

    longest: int = setting(1000, "longest line")
    share: float = setting(0.25, "least share of letters")
    names: tuple[str, ...] = setting(("a",), "names")
    strict: bool = setting(False, "be strict")
    preset: str = setting("none", "limits")

    def __post_init__(self) -> None:
        if self.longest < 1:
            raise ValueError(f"longest must be at least 1, found {self.longest}")


@dataclass(frozen=True, kw_only=True)
class Other:
    """Another section."""

    path: str = setting("here", "a folder")


SECTIONS = {"filter": Filter, "other": Other}


def write(folder: Path, text: str) -> Path:
    path = folder / "build.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_stand_without_a_file() -> None:
    config = load(None, SECTIONS)

    assert config["filter"] == Filter()
    assert config["other"].path == "here"


def test_file_gives_values_and_overrides_win(tmp_path: Path) -> None:
    path = write(tmp_path, '[filter]\nlongest = 80\nshare = 1\nnames = ["x", "y"]\n')

    config = load(
        path, SECTIONS, ["filter.longest=90", "filter.preset=tight", 'other.path="a=b"', "filter.strict=true"]
    )

    assert config["filter"] == Filter(longest=90, share=1.0, names=("x", "y"), strict=True, preset="tight")
    assert isinstance(config["filter"].share, float)
    assert config["other"].path == "a=b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fliter]\nlongest = 1\n", "unknown section 'fliter'; did you mean 'filter'?"),
        ("[filter]\nlongst = 1\n", "[filter]: unknown key 'longst'; did you mean 'longest'?"),
        ("[filter]\nlongest = 1.5\n", "[filter] longest: expected int, found 1.5 (float)"),
        ("[filter]\nlongest = true\n", "[filter] longest: expected int, found True (bool)"),
        ("[filter]\nshare = true\n", "[filter] share: expected float, found True (bool)"),
        ("[filter]\nstrict = 1\n", "[filter] strict: expected bool, found 1 (int)"),
        ('[filter]\nnames = "x"\n', "[filter] names: expected a list, found 'x'"),
        ("[filter]\nnames = [1]\n", "[filter] names: expected str, found 1 (int)"),
        ("[filter]\nlongest = 0\n", "[filter]: longest must be at least 1, found 0"),
        ("filter = 3\n", "[filter]: expected a table of values, found 3"),
        ("[filter\n", "build.toml: "),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        load(path, SECTIONS)

    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("filter.longest", "--set filter.longest: expected section.key=value"),
        ("longest=3", "--set longest=3: expected section.key=value"),
        ("fliter.longest=3", "--set: unknown section 'fliter'; did you mean 'filter'?"),
        ("filter.longest=abc", "expected int, found 'abc' (str)"),
        ("filter.longst=3", "unknown key 'longst'; did you mean 'longest'?"),
    ],
)
def test_mistakes_in_an_override_are_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, SECTIONS, [override])

    assert message in str(caught.value)


def test_missing_file_and_bytes_that_are_no_text_are_config_errors(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError, match="no such config file"):
        load(tmp_path / "absent.toml", SECTIONS)
    with pytest.raises(ConfigError, match=r"binary\.toml"):
        load(tmp_path / "binary.toml", SECTIONS)


def test_sections_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load(None, SECTIONS)["filter"].longest = 3


def test_digests_follow_values_alone() -> None:
    plain, same = load(None, SECTIONS), load(None, SECTIONS, ["filter.longest=1000"])
    changed = load(None, SECTIONS, ["filter.longest=999"])

    assert plain.digest() == same.digest() != changed.digest()
    assert plain.digest("other") == changed.digest("other")
    assert digest(plain["filter"]) == digest(Filter()) != digest(changed["filter"])


def test_values_of_a_config_make_an_equal_one(tmp_path: Path) -> None:
    config = load(None, SECTIONS, ["filter.longest=7", 'filter.names=["q"]'])

    again = {name: SECTIONS[name](**values) for name, values in config.to_dict().items()}

    assert again == {name: config[name] for name in SECTIONS}


def test_override_of_what_the_file_spells_as_a_value_is_a_config_error(tmp_path: Path) -> None:
    path = write(tmp_path, "filter = 3\n")

    with pytest.raises(ConfigError, match="expected a table of values"):
        load(path, SECTIONS, ["filter.longest=3"])
