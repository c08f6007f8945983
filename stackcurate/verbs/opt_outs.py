"""The verbs of opt-outs: correct a release, bring a copy up to date, prove a receipt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stackcurate.verbs.options import ConfigPath, NewVersion, Overrides, err, out
from stackcurate.workspace import Workspace


def opt_out(
    requests: Annotated[
        list[Path], typer.Argument(help="Files or folders of requests: CSV, JSON lines, text, GitHub's issues.")
    ],
    to: NewVersion,
    old: Annotated[str, typer.Option("--from", help="Release to correct; default: the config's.")] = "",
    config: ConfigPath = None,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would go, by repository, and stop.")] = False,
) -> None:
    """Correct a release: honour requests, write the shards they touch, carry the others over, give receipts.

    Example: `stackcurate opt-out requests.csv --from v1 --to v2 --config build.toml`
    """
    from stackcurate import pipeline
    from stackcurate.kernels.opt_outs import contradictions
    from stackcurate.release.correction import correct, preview
    from stackcurate.terminal import print_release, print_rows, progress

    known = pipeline.load_config(config, overrides or [])["opt_outs"].requests
    names = list(dict.fromkeys((*known, *map(str, requests))))
    loaded = pipeline.load_config(config, [*(overrides or []), f"opt_outs.requests={json.dumps(names)}"])
    for source in pipeline.unreadable_requests(loaded):
        err.print(f"opt-out request not understood, a person has to read it: {source}", style="yellow", markup=False)
    for kind, count in pipeline.not_held(loaded).items():
        err.print(f"{count:,} requests for {kind}: no release holds any, they wait in the ledger", style="yellow")
    for sentence in contradictions(pipeline.given_requests(loaded)):
        err.print(sentence, style="yellow", markup=False, highlight=False)
    version = old or loaded["release"].version
    if dry_run:
        print_rows(out, preview(loaded, version), as_json=False)
        return
    release = correct(loaded, version, to, progress(err))
    print_release(out, release)
    done = release.manifest["corrects"]
    out.print(f"{done['removed']:,} rows left {done['version']}, {done['promoted']:,} took their places; receipts: "
              f"{loaded['workspace'].path}/receipts/{to}.jsonl", highlight=False)  # fmt: skip


def apply_removals(
    copy: Annotated[Path, typer.Argument(help="Folder with a copy of the old release; it becomes the new one.")],
    release: Annotated[Path, typer.Option("--from-release", help="Folder of the new release; its data is not read.")],
) -> None:
    """Bring a copy of a release to the next one from its removals and promotions alone, byte for byte.

    Example: `stackcurate apply-removals copies/v1 --from-release workspace/releases/v2`
    """
    from stackcurate.release.removals import apply_removals as apply

    out.print(f"{apply(copy, release):,} shards changed", highlight=False)


def prove(
    receipts: Annotated[Path, typer.Argument(help="A receipt, or a file of receipts, one per line.")],
    release: Annotated[str, typer.Option("--release", help="Folder of the release that the receipts are for.")],
    request: Annotated[str, typer.Option("--request", help="Only the receipt of this request.")] = "",
) -> None:
    """Check receipts of opt-outs against a release: hashes, Merkle paths, and a search of every shard; offline.

    Example: `stackcurate prove workspace/receipts/v2.jsonl --release workspace/releases/v2`
    """
    from stackcurate.errors import ReleaseError
    from stackcurate.release.proof import prove as check
    from stackcurate.release.proof import read_receipts
    from stackcurate.terminal import printable

    if not receipts.is_file():
        raise ReleaseError(
            f"{receipts}: no such file; receipts of a release lie in the workspace, receipts/VERSION.jsonl"
        )
    found = read_receipts(receipts.read_text(encoding="utf-8"), str(receipts))
    chosen = [receipt for receipt in found if request in ("", receipt["request"]["request_id"])]
    if not chosen:
        raise ReleaseError(f"{receipts}: no receipt of request {request!r}")
    problems = check(chosen, Workspace(release))
    for problem in problems:
        err.print(printable(problem), style="red", markup=False, highlight=False)
    out.print(f"{len(chosen):,} receipts, {len(problems):,} problems", highlight=False)
    if problems:
        raise typer.Exit(1)


def purge(
    version: Annotated[str, typer.Option("--version", "-V", help="Release that says which files were asked to go.")],
    releases: Annotated[list[str] | None, typer.Option("--release", help="An older release to delete as well.")] = None,
    config: ConfigPath = None,
    overrides: Overrides = None,
) -> None:
    """Delete contents and facts of files that were asked to go, and old releases that hold them; the ledger notes it.

    Example: `stackcurate purge --version v2 --release v1 --config build.toml`
    """
    from stackcurate import pipeline
    from stackcurate.release.purge import purge as delete
    from stackcurate.workspace import open_workspace

    loaded = pipeline.load_config(config, overrides or [])
    workspace = open_workspace(loaded["workspace"].path, create=False)
    for name, count in delete(workspace, version, releases or []).items():
        out.print(f"{name}: {count:,} deleted", highlight=False)
