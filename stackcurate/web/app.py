"""The application: the page, its JSON and its limits, over one release."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from stackcurate.errors import ReleaseError
from stackcurate.release.manifest import load_release
from stackcurate.web.api import Site, router
from stackcurate.web.limits import Limits
from stackcurate.workspace import Workspace

STATIC = Path(__file__).parent / "static"
PER_MINUTE = 120
"""Tokens a minute for each client: a page takes about five, a question one, a request or a text five and more."""


def create_app(workspace: Workspace, version: str, per_minute: float = PER_MINUTE) -> FastAPI:
    """Return the application that serves a release.

    Args:
        workspace: holds the release, and the inbox for opt-outs.
        version: name of the release.
        per_minute: tokens a minute for each client.

    Raises:
        ReleaseError: there is no such release.
    """
    release = load_release(workspace, version)
    if release is None:
        raise ReleaseError(f"no complete release {version!r} in {workspace.root}; `stackcurate build` makes it")
    app = FastAPI(title=f"{release.manifest['title']} {version}", docs_url=None, redoc_url=None,
                  openapi_url="/api/openapi.json")  # fmt: skip
    app.state.site = Site(workspace, release)
    app.include_router(router)
    app.add_api_route("/", _page("index.html"), include_in_schema=False)
    app.add_api_route("/api", _page("api.html"), include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _broken)
    app.add_middleware(Limits, per_minute=per_minute)
    return app


def _page(name: str) -> Callable[[], FileResponse]:
    def page() -> FileResponse:
        return FileResponse(STATIC / name, media_type="text/html; charset=utf-8")

    return page


def _plain(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "it is registered for nothing else"
    return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)


def _invalid(_: Request, error: Exception) -> Response:
    """Say which value is wrong and why, without repeating it."""
    assert isinstance(error, RequestValidationError), "it is registered for nothing else"
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    return JSONResponse({"error": f"{place}: {first['msg']}"}, 422)


def _broken(request: Request, error: Exception) -> Response:
    """Log what went wrong and tell the client no more than that it did."""
    logging.getLogger("stackcurate.web").error("%s: %s", request.url.path, error)
    return JSONResponse({"error": "something went wrong here; please try again later"}, 500)
