"""What the page asks for, as JSON: all of it stands in the release that is served."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

import pyarrow.fs as pafs
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from stackcurate.errors import ReleaseError, WorkspaceError
from stackcurate.release.attribution import Answer, Attribution, credits_of
from stackcurate.release.card import CARD, CROISSANT
from stackcurate.release.catalogue import by_repository, released_files
from stackcurate.release.inbox import progress_of, receive, understood
from stackcurate.release.ledger import LEDGER
from stackcurate.release.manifest import FUNNEL, MANIFEST, Release
from stackcurate.release.report import levels
from stackcurate.release.sbom import SBOM
from stackcurate.release.summary import SUMMARY
from stackcurate.release.terms import TERMS
from stackcurate.workspace import Workspace, read_json

DOCUMENTS = {
    CARD: "text/markdown", TERMS: "text/markdown", MANIFEST: "application/json", FUNNEL: "application/json",
    CROISSANT: "application/ld+json", SBOM: "application/json", SUMMARY: "application/json",
    LEDGER: "application/jsonl",
}  # fmt: skip
"""Documents of a release that are handed out, and their types."""
MOST_REPOSITORIES, MOST_FILES = 1000, 200
"""Rows of one answer; more are asked for with `offset`."""

LONGEST_TEXT = 40_000
"""Characters of a text that is compared, about 1,000 lines."""
_SECONDS_IN_LINE, _PIECE = 20, 1 << 20

Name = Annotated[str, Field(min_length=1, max_length=300)]
Names = Annotated[list[Name], Field(max_length=200)]
Asked = Annotated[str, Query(min_length=1, max_length=300)]
Offset = Annotated[int, Query(ge=0, le=10**9)]


class OptOut(BaseModel):
    """A request to be left out: accounts, repositories, and how far it goes."""

    model_config = ConfigDict(extra="forbid")
    accounts: Names = []
    repositories: Names = []
    scope: Literal["now", "now_and_future"] = "now_and_future"
    note: Annotated[str, Field(max_length=1000)] = ""


class Code(BaseModel):
    """A text whose source is asked for."""

    model_config = ConfigDict(extra="forbid")
    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


@dataclass(frozen=True)
class Site:
    """What is served: a release, and the workspace that takes requests."""

    workspace: Workspace
    release: Release
    checking: threading.Lock = field(default_factory=threading.Lock)
    """Parquet readers of the index serve one question at a time."""

    @cached_property
    def folder(self) -> Workspace:
        """The release's folder."""
        return Workspace(self.release.path)

    @cached_property
    def attribution(self) -> Attribution | None:
        """The index; None where the release has none."""
        try:
            return Attribution(self.release.path)
        except ReleaseError:
            return None

    @cached_property
    def documents(self) -> dict[str, int]:
        """The documents that the release has, with their sizes in bytes."""
        filesystem, folder = self.folder.locate()
        infos = filesystem.get_file_info([f"{folder}/{name}" for name in DOCUMENTS])
        return {info.base_name: info.size for info in infos if info.type == pafs.FileType.File}

    @cached_property
    def funnel(self) -> dict[str, Any]:
        """The funnel, with the files that each stage left."""
        found: dict[str, Any] = read_json(self.folder, FUNNEL)
        steps = [{"stage": stage, "left": left, "lost": lost} for stage, left, lost in levels(found)]
        return {**found, "stages": steps}


router = APIRouter()


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


@router.get("/health", summary="Say that the server is up.")
def health() -> dict[str, str]:
    """Say that the server is up."""
    return {"status": "ok"}


@router.get("/api/release", summary="What the release is, in numbers.")
def release(request: Request) -> dict[str, Any]:
    """Return what the release is, in numbers."""
    site = _site(request)
    manifest = site.release.manifest
    names = ("title", "version", "rows", "content_bytes", "redactions", "languages")
    index = site.attribution
    return {**{name: manifest[name] for name in names}, "documents": list(site.documents),
            "repositories_read": site.funnel["repositories"]["read"],
            "guaranteed": index.guaranteed if index else None}  # fmt: skip


@router.get("/api/lookup", summary="The repositories of an account, or one repository, in the release.")
def lookup(request: Request, q: Asked) -> dict[str, Any]:
    """Return the released repositories that a name means: files by language, licences, shards."""
    site = _site(request)
    found = by_repository(released_files(site.folder, site.release.manifest["shards"], q))
    return {"query": q, "files": sum(row["files"] for row in found), "bytes": sum(row["bytes"] for row in found),
            "repositories": found[:MOST_REPOSITORIES], "more": max(len(found) - MOST_REPOSITORIES, 0)}  # fmt: skip


@router.get("/api/files", summary="The released files of an account, a repository or a path.")
def files(request: Request, q: Asked, offset: Offset = 0) -> dict[str, Any]:
    """Return path, language, licence, size and shard of each released file, a page at a time."""
    site = _site(request)
    found = released_files(site.folder, site.release.manifest["shards"], q)
    return {"query": q, "total": found.num_rows, "offset": offset,
            "files": found.slice(min(offset, found.num_rows), MOST_FILES).to_pylist()}  # fmt: skip


@router.post("/api/opt-outs", status_code=201, summary="Ask for accounts or repositories to be left out.")
def opt_out(request: Request, asked: OptOut) -> dict[str, Any]:
    """Put a request into the inbox and return the number of its receipt."""
    targets, refused = understood(asked.accounts, asked.repositories)
    if refused:
        raise HTTPException(422, f"no account or owner/repository: {', '.join(refused[:5])}")
    if not targets:
        raise HTTPException(422, "name at least one account or repository")
    try:
        receipt = receive(_site(request).workspace, targets, asked.scope, asked.note.strip())
    except (WorkspaceError, OSError) as error:
        raise HTTPException(503, "requests cannot be taken at the moment; please try again later") from error
    listed = [{"kind": kind, "value": value} for kind, value in targets]
    return {"receipt": receipt, "scope": asked.scope, "requests": listed}


@router.get("/api/opt-outs/{receipt}", summary="How far a request has come, for whoever holds its number.")
def opt_out_progress(request: Request, receipt: str) -> dict[str, Any]:
    """Return whether a request waits, is in the ledger or was decided on, and from which release on."""
    found = progress_of(_site(request).workspace, receipt)
    if found is None:
        raise HTTPException(404, "no request bears this number")
    return found


@router.post("/api/attribution", summary="Find the released files that a text copies from.")
def attribution(request: Request, code: Code) -> dict[str, Any]:
    """Return the verbatim runs of a text with repository, path, lines and licence; offsets are code points."""
    site, content = _site(request), code.text.encode()
    if not site.checking.acquire(timeout=_SECONDS_IN_LINE):
        raise HTTPException(503, "too many texts are being compared; please try again later", {"retry-after": "60"})
    try:
        index = site.attribution
        if index is None:
            raise HTTPException(404, "this release has no attribution index")
        answer = index.check(content)
    finally:
        site.checking.release()
    return {"guaranteed": index.guaranteed, "complete": answer.complete, "matches": _matches(answer, content)}


def _matches(answer: Answer, content: bytes) -> list[dict[str, Any]]:
    found = []
    for match, credit in zip(answer.matches, credits_of(answer), strict=True):
        start = len(content[: match.start].decode(errors="ignore"))  # a run may start and end within a letter
        end = len(content[: match.end].decode(errors="replace"))
        lines = {name: getattr(match, name) for name in ("start_line", "end_line")}
        source = {"source_start_line": match.source_start_line, "source_end_line": match.source_end_line}
        found.append({"start": start, "end": end, **lines, **source, **match.row, "credit": credit})
    return found


@router.get("/api/funnel", summary="What was read, what was left out at which stage and why, what stayed.")
def funnel(request: Request) -> dict[str, Any]:
    """Return the funnel."""
    return _site(request).funnel


@router.get("/documents/{name}", summary="A document of the release, such as README.md or sbom.spdx.json.")
def document(request: Request, name: str) -> StreamingResponse:
    """Return a document of the release as it was published."""
    site = _site(request)
    if name not in site.documents:
        raise HTTPException(404, f"no such document; there are {', '.join(site.documents)}")
    length = {"content-length": str(site.documents[name])}
    return StreamingResponse(_pieces(site.folder, name), media_type=DOCUMENTS[name], headers=length)


def _pieces(folder: Workspace, name: str) -> Iterator[bytes]:
    filesystem, path = folder.locate(name)
    with filesystem.open_input_stream(path) as stream:
        while piece := stream.read(_PIECE):
            yield piece
