"""Which files speak about licences: recognised by path alone, so that scanner and resolver agree."""

from __future__ import annotations

import re
from posixpath import basename, splitext

_CODE = frozenset(
    re.findall(
        r"\S+",
        """
    asm awk bat bin c cc cfg class clj cljs cmake coffee conf cpp cs css csv cxx dart db dll ejs erb erl ex
    exs fs gif go gradle groovy gz h hbs hh hpp hs hxx ico inc ini ipynb jar java jpeg jpg js json jsonl jsx
    kt kts less lock lua m mako map mjs ml mm o patch pdf php pl plist pm png po pot properties ps1 pug py pyc
    pyi pyx r rb rs s sass scala scss sh so sql svelte svg swift tar tf toml ts tsv tsx vb vim vue webp xlsx
    xml xsd xsl yaml yml zig zip zsh
""",
    )
)
"""Extensions of code, data and media: `license.py` is about licences but is none."""

_LICENSE = re.compile(
    r"""(
      (un)?licen[cs](e|es|ing)([-_. ].*)?                    # LICENSE, LICENCE.md, LICENSE-MIT, UNLICENSE
    | ([a-z0-9.+]{1,20}[-_. ]){1,2}licen[cs]es?([-_. ]v?[0-9][0-9.]*)?(\.[a-z]+)?  # MIT-LICENSE, apache-license-2.0.txt
    | copying([-_. 0-9].*)?
    | copyrights?([-_. ].*)?
    | eula([-_. ].*)?
    | (a|l|f)?gpl([-_ ]?v?[0-9][0-9.]*)?(\.[a-z]+)?           # gpl-3.0.txt
    | ([mec]pl|ofl|apache|mit|bsd|cc0)([-_ ]?v?[0-9][0-9.]*)?\.(txt|md)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_LICENSE_FOLDER = re.compile(r"(^|/)licen[cs]es?/[^/]+$", re.IGNORECASE)
_NOTICE = re.compile(
    r"((.*[-_ ])?(third|3rd)[-_ ]?part(y|ies).*|(notices?|attributions?|credits)([-_. ].*)?"
    r"|licen[cs]es?[-_.](external|bundled|vendored|dependencies).*)",
    re.IGNORECASE,
)
_README = re.compile(r"read[-_ ]?me([-_. ].*)?", re.IGNORECASE)
_MANIFEST = re.compile(
    r"(package\.json|bower\.json|composer\.json|pyproject\.toml|setup\.(cfg|py)|PKG-INFO|Cargo\.toml|pom\.xml|DESCRIPTION"
    r"|META\.(json|yml)|dub\.json|go\.mod|pubspec\.yaml|mix\.exs|Chart\.yaml|.*\.(gemspec|nuspec|podspec|cabal|rockspec|opam))"
)
_REUSE = re.compile(r"(^|/)(REUSE\.toml|\.reuse/dep5|debian/copyright)$")


def _is_prose(name: str) -> bool:
    return splitext(name)[1][1:].lower() not in _CODE


def is_license_name(path: str) -> bool:
    """Tell whether a file claims by its name to hold the text of a licence.

    Args:
        path: path in the repository, with `/`.

    Returns:
        True for LICENSE, COPYING, MIT-LICENSE, UNLICENSE, COPYRIGHT and their kin, and for what lies directly in
        a folder `LICENSES` or `license`; False for source files of such names and for NOTICE.

    >>> [is_license_name(p) for p in ("LICENSE-MIT", "a/COPYING.LESSER", "LICENSES/MIT.txt", "license.py", "NOTICE")]
    [True, True, True, False, False]
    """
    name = basename(path)
    if not _is_prose(name) or is_notice_name(path) or is_readme_name(path):
        return False
    return _LICENSE.fullmatch(name) is not None or _LICENSE_FOLDER.search(path) is not None


def is_notice_name(path: str) -> bool:
    """Tell whether a file attributes others' work (NOTICE, THIRD-PARTY-LICENSES): never the repository's licence.

    >>> [is_notice_name(p) for p in ("NOTICE.txt", "ThirdPartyNotices.txt", "LICENSE")]
    [True, True, False]
    """
    name = basename(path)
    return _is_prose(name) and _NOTICE.fullmatch(name) is not None


def is_readme_name(path: str) -> bool:
    """Tell whether a file is a README.

    >>> [is_readme_name(p) for p in ("README.md", "docs/readme", "reader.py")]
    [True, True, False]
    """
    name = basename(path)
    return _is_prose(name) and _README.fullmatch(name) is not None


def is_manifest_name(path: str) -> bool:
    """Tell whether a file is a package manifest that may state a licence.

    >>> [is_manifest_name(p) for p in ("a/package.json", "x.gemspec", "six-1.0.dist-info/METADATA", "METADATA")]
    [True, True, True, False]
    """
    name = basename(path)
    return _MANIFEST.fullmatch(name) is not None or (name == "METADATA" and path.endswith(".dist-info/METADATA"))


def is_reuse_name(path: str) -> bool:
    """Tell whether a file maps paths to licences: REUSE.toml, .reuse/dep5, debian/copyright.

    >>> [is_reuse_name(p) for p in ("REUSE.toml", ".reuse/dep5", "debian/copyright", "dep5")]
    [True, True, True, False]
    """
    return _REUSE.search(path) is not None
