"""The verb that serves a release as a web page."""

from __future__ import annotations

from typing import Annotated

import typer

from stackcurate.errors import MissingDependencyError
from stackcurate.verbs.options import ConfigPath, Overrides, Version, err
from stackcurate.workspace import open_workspace

Host = Annotated[str, typer.Option("--host", help="Address to listen on; others than this machine's are let in.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")]
PerMinute = Annotated[
    int, typer.Option("--per-minute", min=10, help="Tokens of a client each minute; a question takes one.")
]


def serve(config: ConfigPath = None, overrides: Overrides = None, version: Version = "", host: Host = "127.0.0.1",
          port: Port = 8000, per_minute: PerMinute = 120) -> None:  # fmt: skip
    """Serve a page on which people look up their code, opt out, find the source of a text and read the card.

    Requests come into `inbox/` of the workspace, which `stackcurate opt-out` and `[opt_outs] requests` take.
    Put a proxy with TLS in front of it where it is open to others; `X-Forwarded-For` of a proxy on this machine counts.

    Example: `stackcurate serve --config build.toml --port 8000`
    """
    from stackcurate import pipeline

    try:
        import uvicorn

        from stackcurate.web.app import create_app
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"{error.name} is missing; pip install 'stackcurate[web]'") from error
    loaded = pipeline.load_config(config, overrides or [])
    workspace = open_workspace(loaded["workspace"].path, create=False)
    app = create_app(workspace, version or loaded["release"].version, per_minute)
    err.print(f"http://{host}:{port}/", highlight=False, markup=False)
    uvicorn.run(app, host=host, port=port, log_level="warning", limit_concurrency=200, timeout_keep_alive=5,
                server_header=False)  # fmt: skip
