"""Files of digests, versions and identifiers in the shapes that package managers write; the digests are drawn."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator

NAMES = [
    "tokenizers",
    "keyring",
    "react-dom",
    "passlib",
    "@babel/core",
    "secretstorage",
    "golang.org/x/crypto",
    "serde",
    "jwt",
    "auth0",
    "lodash",
]


def lockfiles(seed: int = 5, packages: int = 40) -> Iterator[tuple[str, str]]:
    """Yield name and text of one file of each kind.

    Args:
        seed: of the digests.
        packages: entries of each file.
    """
    rng = random.Random(seed)
    for path, (head, entry, tail) in SHAPES.items():
        entries = (
            entry(_Draw(rng), NAMES[index % len(NAMES)] + str(index // len(NAMES) or "")) for index in range(packages)
        )
        yield path, head + "".join(entries) + tail


class _Draw:
    """Draws digests, versions and identifiers."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def hex(self, size: int) -> str:
        return self.rng.randbytes(size // 2).hex()

    def b64(self, size: int) -> str:
        return base64.b64encode(self.rng.randbytes(size)).decode()

    def version(self) -> str:
        return ".".join(
            str(self.rng.choice((0, 1, 8, 10, 12, 114, 2024, 19041))) for _ in range(self.rng.choice((2, 3, 4)))
        )

    def semver(self) -> str:
        return ".".join(str(self.rng.choice((0, 1, 8, 10, 12, 114, 2024))) for _ in range(3))

    def uuid(self) -> str:
        return "-".join(self.hex(size) for size in (8, 4, 4, 4, 12))

    def base32(self) -> str:
        return "".join(self.rng.choices("0123456789abcdfghijklmnpqrsvwxyz", k=52))


Shape = tuple[str, Callable[[_Draw, str], str], str]

SHAPES: dict[str, Shape] = {
    "package-lock.json": (
        '{"lockfileVersion": 3, "packages": {\n',
        lambda d, n: (
            f'"node_modules/{n}": {{"version": "{d.semver()}", "integrity": "sha512-{d.b64(64)}",\n'
            f'"resolved": "https://registry.npmjs.invalid/{n}/-/{n}-{d.semver()}.tgz"}},\n'
        ),
        '"": {}}}\n',
    ),
    "yarn.lock": (
        "# yarn lockfile v1\n\n",
        lambda d, n: (
            f'"{n}@^{d.semver()}":\n  version "{d.semver()}"\n'
            f'  resolved "https://registry.yarnpkg.invalid/{n}/-/{n}.tgz#{d.hex(40)}"\n  integrity sha1-{d.b64(20)}\n\n'
        ),
        "",
    ),
    "berry/yarn.lock": (
        "__metadata:\n  version: 8\n\n",
        lambda d, n: f'"{n}@npm:{d.semver()}":\n  checksum: 10c0/{d.hex(128)}\n  languageName: node\n\n',
        "",
    ),
    "pnpm-lock.yaml": (
        "lockfileVersion: '9.0'\npackages:\n",
        lambda d, n: f"  '{n}@{d.semver()}':\n    resolution: {{integrity: sha512-{d.b64(64)}}}\n",
        "",
    ),
    "bun.lock": (
        '{"packages": {\n',
        lambda d, n: f'"{n}": ["{n}@{d.semver()}", "", {{}}, "sha512-{d.b64(64)}"],\n',
        "}}",
    ),
    "deno.lock": ('{"remote": {\n', lambda d, n: f'"https://deno.invalid/std/{n}.ts": "{d.hex(64)}",\n', "}}"),
    "uv.lock": (
        "version = 1\n\n",
        lambda d, n: (
            f'[[package]]\nname = "{n}"\nversion = "{d.version()}"\nsdist = {{ url = "https://files.invalid/'
            f'{d.hex(2)}/{d.hex(2)}/{d.hex(60)}/{n}.tar.gz", hash = "sha256:{d.hex(64)}", size = 12345678 }}\n\n'
        ),
        "",
    ),
    "poetry.lock": (
        "",
        lambda d, n: (
            f'[[package]]\nname = "{n}"\nversion = "{d.version()}"\nfiles = [\n'
            f'    {{file = "{n}.whl", hash = "sha256:{d.hex(64)}"}},\n]\n\n'
        ),
        f'[metadata]\ncontent-hash = "{"0a1b2c3d" * 8}"\n',
    ),
    "Pipfile.lock": (
        '{"default": {\n',
        lambda d, n: f'"{n}": {{"hashes": ["sha256:{d.hex(64)}"], "version": "=={d.version()}"}},\n',
        "}}",
    ),
    "requirements.txt": ("", lambda d, n: f"{n}=={d.version()} \\\n    --hash=sha256:{d.hex(64)}\n", ""),
    "go.sum": (
        "",
        lambda d, n: f"{n} v{d.semver()} h1:{d.b64(32)}\n{n} v0.0.0-20240102150405-{d.hex(12)}/go.mod h1:{d.b64(32)}\n",
        "",
    ),
    "Cargo.lock": (
        "version = 3\n\n",
        lambda d, n: (
            f'[[package]]\nname = "{n}"\nversion = "{d.semver()}"\nchecksum = "{d.hex(64)}"\n'
            f'source = "git+https://git.invalid/{n}?rev={d.hex(40)}#{d.hex(40)}"\n\n'
        ),
        "",
    ),
    "composer.lock": (
        '{"packages": [\n',
        lambda d, n: (
            f'{{"name": "{n}", "source": {{"reference": "{d.hex(40)}"}}, "dist": {{"shasum": "{d.hex(40)}"}}}},\n'
        ),
        f'], "content-hash": "{"0f1e2d3c" * 4}"}}\n',
    ),
    "Gemfile.lock": ("CHECKSUMS\n", lambda d, n: f"  {n.rpartition('/')[2]} ({d.version()}) sha256={d.hex(64)}\n", ""),
    "mix.lock": (
        "%{\n",
        lambda d, n: f'  "{n}": {{:hex, :{n}, "{d.semver()}", "{d.hex(64)}", [:mix], [], "hexpm", "{d.hex(64)}"}},\n',
        "}\n",
    ),
    "pubspec.lock": (
        "packages:\n",
        lambda d, n: f'  {n}:\n    description:\n      sha256: "{d.hex(64)}"\n    version: "{d.semver()}"\n',
        "",
    ),
    "flake.lock": (
        '{"nodes": {\n',
        lambda d, n: f'"{n}": {{"locked": {{"narHash": "sha256-{d.b64(32)}", "rev": "{d.hex(40)}"}}}},\n',
        "}}",
    ),
    "default.nix": (
        "{ fetchurl }:\n",
        lambda d, n: f'fetchurl {{ url = "https://x.invalid/{n}.tar"; sha256 = "{d.base32()}"; }}\n',
        "",
    ),
    ".terraform.lock.hcl": (
        "",
        lambda d, n: f'provider "{n}" {{\n  hashes = [\n    "h1:{d.b64(32)}",\n    "zh:{d.hex(64)}",\n  ]\n}}\n',
        "",
    ),
    "Manifest.toml": (
        "",
        lambda d, n: f'[[deps.X]]\ngit-tree-sha1 = "{d.hex(40)}"\nuuid = "{d.uuid()}"\nversion = "{d.semver()}"\n',
        "",
    ),
    "Podfile.lock": (
        "SPEC CHECKSUMS:\n",
        lambda d, n: f"  {n}: {d.hex(40)}\n",
        f"PODFILE CHECKSUM: {'ab12cd34' * 5}\n",
    ),
    "Package.resolved": (
        '{"pins": [\n',
        lambda d, n: f'{{"identity": "{n}", "state": {{"revision": "{d.hex(40)}", "version": "{d.semver()}"}}}},\n',
        "]}",
    ),
    "SHA256SUMS": ("", lambda d, n: f"{d.hex(64)}  {n}-{d.version()}.tar.gz\n", ""),
    "MD5SUMS": ("", lambda d, n: f"{d.hex(32)} *{n}\n", ""),
    "RECORD": (
        "",
        lambda d, n: f"{n}/auth.py,sha256={d.b64(32).rstrip('=').replace('+', '-').replace('/', '_')},4711\n",
        "",
    ),
    ".github/workflows/ci.yml": (
        "jobs:\n",
        lambda d, n: f"      - uses: actions/{n}@{d.hex(40)}  # v{d.semver()}\n",
        "",
    ),
    "Dockerfile": (
        "",
        lambda d, n: (
            f"FROM acme/{n.rpartition('/')[2]}:{d.version()}@sha256:{d.hex(64)}\n"
            f"ENV X_VERSION={d.version()} X_SHA256={d.hex(64)}\n"
        ),
        "",
    ),
    "k8s.yaml": ("", lambda d, n: f"image: registry.invalid/{n}@sha256:{d.hex(64)}\nuid: {d.uuid()}\n", ""),
    "index.html": (
        "",
        lambda d, n: f'<script src="https://cdn.invalid/{n}.js" integrity="sha384-{d.b64(48)}"></script>\n',
        "",
    ),
    "VERSION": ("4.8.12.24\n", lambda *_: "", ""),
    "CHANGES": (
        "",
        lambda d, n: f"## v{d.version()}\n\nVersion {d.version()} needs {n} {d.semver()}, {n}=={d.version()}\n",
        "",
    ),
    "versions.py": (
        "",
        lambda d, n: f'VERSION_{d.hex(4)} = "{d.version()}"  # {n}\nREVISION = "{d.hex(40)}"\nID = "{d.uuid()}"\n',
        "",
    ),
    "project.csproj": (
        "<Project>\n",
        lambda d, n: (
            f'<PackageReference Include="{n}" Version="{d.version()}" />\n<FileVersion>{d.version()}</FileVersion>\n'
        ),
        "</Project>\n",
    ),
    "app.sln": (
        "",
        lambda d, n: f'Project("{{{d.uuid().upper()}}}") = "{n}", "{n}.csproj", "{{{d.uuid().upper()}}}"\n',
        "",
    ),
    "sbom.json": (
        "[\n",
        lambda d, n: (
            f'{{"alg": "SHA", "content": "{d.hex(128)}", "bom-ref": "{d.uuid()}",\n'
            f'"purl": "pkg:pypi/{n}@{d.version()}"}},\n'
        ),
        "]",
    ),
    "app.js.map": (
        '{"version": 3,\n',
        lambda d, n: f'"sources": ["webpack:///{n}?{d.hex(4)}"], "hash": "{d.hex(20)}",\n',
        "}",
    ),
}
"""Head, one entry and tail of each kind of file."""
