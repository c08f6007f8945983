"""Use terms of a release: a template to choose, and what the card of a gated dataset asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from stackcurate.workspace import Workspace, write_bytes

TERMS = "TERMS.md"
_PROMPT = (
    "The files keep their own licences. By asking for access you agree to the terms in TERMS.md: to pass licences and "
    "notices on, to remove what a later version removes, and not to undo the redaction of personal data."
)
_FIELDS = {"Name": "text", "Affiliation": "text", "Purpose": "text", "I agree to the terms in TERMS.md": "checkbox"}
"""What is asked, and how. Source: the field types of gated datasets on the Hugging Face Hub."""


def write_terms(workspace: Workspace, manifest: Mapping[str, Any]) -> None:
    """Write the use terms that the config of a release names into its folder; nothing where it names none."""
    name = manifest["config"]["release"]["terms"]
    if name != "none":
        text = files("stackcurate").joinpath("data", "terms", f"{name}.md").read_bytes()
        write_bytes(workspace, text, "releases", manifest["version"], TERMS)


def card_header(manifest: Mapping[str, Any]) -> list[str]:
    """Return the lines of a card's YAML header on terms and gated access."""
    release = manifest["config"]["release"]
    lines = ["license: other"]
    if release["terms"] != "none":
        lines += [f"license_name: {release['terms']}-terms", f"license_link: {TERMS}"]
    if release["gated"]:
        asked = [f"  {json.dumps(name)}: {kind}" for name, kind in _FIELDS.items()]
        lines += [f"extra_gated_prompt: {json.dumps(_PROMPT)}", "extra_gated_fields:", *asked]
    return lines
