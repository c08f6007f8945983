"""What the folders of a repository say about licences: licence files, manifests, READMEs and REUSE's mappings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from posixpath import basename, dirname, normpath, splitext
from posixpath import join as join_path

from stackcurate.kernels.license_evidence import (
    Claim,
    ResolverConfig,
    Row,
    is_free,
    join,
    license_claim,
    manifest_claim,
    readme_claim,
)
from stackcurate.kernels.license_expressions import combine, families, ids, license_pointer
from stackcurate.kernels.license_names import (
    is_license_name,
    is_manifest_name,
    is_notice_name,
    is_readme_name,
    is_reuse_name,
)
from stackcurate.kernels.license_reuse import license_globs

_SMALL = 1024
_EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
_LINK = 0o120000
_LINK_MASK = 0o170000
_LICENSE_FOLDER = re.compile(r"licen[cs]es?", re.IGNORECASE)
_ASSETS = re.compile(
    r"(^|[-_. ])(docs?|documentation|assets?|art(work)?|images?|icons?|logos?|fonts?|media|data|content|text)"
    r"([-_. ]|$)",
    re.IGNORECASE,
)
_POINTED = re.compile(r"[\w./-]*[\w]")
_MAIN = re.compile(r"(un)?licen[cs]e|copying|eula|.*[-_. ]licen[cs]e", re.IGNORECASE)
_PLAIN = re.compile(r"(un)?licen[cs]e|copying", re.IGNORECASE)
_COPYLEFT_NAME = re.compile(r"gpl|mpl|cddl|epl|eupl|osl|propriet|commerc|copying|addendum", re.IGNORECASE)
_INFO = re.compile(r"([^/]+?)-[^/-]+\.dist-info")
_STUB = re.compile(r"(\s*(year|copyright holders?|organi[sz]ation)[ \t]*:[^\n]*)+\s*", re.IGNORECASE)
"""What R packages put in LICENSE beside `License: MIT + file LICENSE`: year and holder, which the template takes."""
_HOLDERS = re.compile(r"(copyrights?|authors)\b.*", re.IGNORECASE)


def needs_content(path: str, size: int | None, mode: int | None) -> bool:
    """Tell whether `resolve` reads a file's bytes itself: path mappings, links and licence files that may be pointers.

    >>> needs_content("REUSE.toml", 9000, None), needs_content("LICENSE", 30, None), needs_content("a.c", 30, None)
    (True, True, False)
    """
    small = size is not None and size <= _SMALL
    return is_reuse_name(path) or (is_license_name(path) and (small or _is_link(mode)))


def installed_packages(folders: Iterable[str]) -> dict[str, str]:
    """Map what installed packages put beside their `dist-info` to it: by name, or all if there is but one.

    >>> installed_packages(["lib/attrs-25.1.dist-info", "lib/six-1.0.dist-info"])
    {'lib/attrs': 'lib/attrs-25.1.dist-info', 'lib/six': 'lib/six-1.0.dist-info'}
    """
    found: dict[str, dict[str, str]] = {}
    for folder in sorted(folders):
        for parent in _with_parents(folder):
            if match := _INFO.fullmatch(basename(parent)):
                name = re.sub(r"[-_.]+", "_", match[1].lower())
                found.setdefault(dirname(parent), {})[name] = parent
    owners: dict[str, str] = {}
    for parent, infos in found.items():
        owners |= {join_path(parent, name): info for name, info in infos.items()}
        if len(infos) == 1:
            owners[parent] = next(iter(infos.values()))
    return owners


def _with_parents(folder: str) -> Iterator[str]:
    while folder:
        yield folder
        folder = dirname(folder)


class Folders:
    """What the licence files, manifests and READMEs of one repository say, by folder.

    Args:
        rows: as `license_resolver.resolve` takes them.
        config: which evidence counts.

    Attributes:
        by_path: the rows by path.
        own: claim of each folder that has licence files or manifests.
        packages: folders and modules that an installed package put beside its `dist-info`, with that folder.
        readmes: claim of each README.
        assets: claim of licence files whose names confine them to documentation or media, such as `LICENSE-docs`.
        globs: REUSE's and DEP-5's mappings; the last that matches counts.
        manifests: manifests by folder.
        notices: notices by folder.
    """

    def __init__(self, rows: Sequence[Row], config: ResolverConfig) -> None:
        self.config = config
        self._vendored = frozenset(name.lower() for name in config.vendored)
        self._vendored_modules = frozenset(name.lower() for name in config.vendored_modules)
        self.by_path = {row["path"]: row for row in sorted(rows, key=lambda row: str(row["file_id"]))}
        self.readmes: dict[str, Claim] = {}
        self.assets: dict[str, Claim] = {}
        self.globs: list[tuple[str, Claim]] = []
        self.manifests: dict[str, list[Row]] = {}
        self.notices: dict[str, list[Row]] = {}
        self._files: dict[str, list[Row]] = {}
        self._inner: dict[str, list[Row]] = {}
        for path in sorted(self.by_path):
            self._sort(path, self.by_path[path])
        folders = sorted({*self.manifests, *self._files, *self._inner})
        self.own = {folder: claim for folder in folders if (claim := self._claim_of(folder)) is not None}
        self.packages = installed_packages({dirname(path) for path in self.by_path})

    def companion(self, path: str) -> Row | None:
        """Return the file that REUSE puts beside another to license it: `x.png.license`."""
        return self.by_path.get(f"{path}.license")

    def is_third_party(self, folder: str) -> bool:
        """Tell whether a folder is one that the licence above does not cover, such as `vendor`."""
        name = basename(folder).lower()
        nested = name in self._vendored_modules and self._is_module(folder) and self._is_module(dirname(folder))
        return name in self._vendored or nested

    def license_files(self, folder: str) -> list[Row]:
        """Return the licence files of a folder; its `LICENSES` counts where it has no other and is no mere list."""
        inner = self._inner.get(folder, [])
        is_package = folder == "" or folder in self.manifests or folder.endswith(".dist-info")
        bundled = not is_package and len(inner) > self.config.list_size
        return self._files.get(folder) or ([] if bundled else inner)

    def _is_module(self, folder: str) -> bool:
        return join_path(folder, "__init__.py") in self.by_path

    def _sort(self, path: str, row: Row) -> None:
        """Put a file where its name says it belongs."""
        folder = dirname(path)
        if is_reuse_name(path) and (globs := license_globs(path, _text(row["content"]))) is not None:
            self.globs += [(glob, _mapped(name, row)) for glob, name in globs]
        elif is_license_name(path):
            if path.removesuffix(".license") in self.by_path and path.endswith(".license"):
                return
            if row["blob_id"] != _EMPTY_BLOB:
                self._files.setdefault(folder, []).append(row)
                if _LICENSE_FOLDER.fullmatch(basename(folder)):
                    self._inner.setdefault(dirname(folder), []).append(row)
        elif is_manifest_name(path):
            self.manifests.setdefault(folder, []).append(row)
        elif is_notice_name(path):
            self.notices.setdefault(folder, []).append(row)
        elif is_readme_name(path) and (claim := readme_claim(row, self.config)) is not None:
            self.readmes.setdefault(folder, claim)

    def _claim_of(self, folder: str) -> Claim | None:
        """Combine the licence files and manifests of a folder."""
        manifest = self._manifest_of(folder)
        stated = manifest.license if manifest else None
        found = self._read(self.license_files(folder), stated)
        claims = [claim for name, claim in _backed(found, stated) if not _ASSETS.search(name)]
        for name, claim in found:
            if _ASSETS.search(name):
                self.assets.setdefault(folder, claim)
        if not claims:
            return manifest if self.config.accept_manifest else None
        merged = _merge(claims, stated, self.readmes.get(folder))
        opposed = manifest is not None and manifest.license is not None and not manifest.free
        if opposed and merged.free and merged.reason == "resolved":
            return replace(merged, reason="manifest_conflict")
        return merged

    def _read(self, rows: Sequence[Row], stated: str | None) -> list[tuple[str, Claim]]:
        """Read licence files. One that names no licence bars only as the main one, and not as a short pointer."""
        read = [(row, self._license_of(row, stated)) for row in rows]
        told = [(basename(row["path"]), claim) for row, claim in read if claim is not None]
        licensed = [(name, claim) for name, claim in told if claim.license or not _HOLDERS.fullmatch(name)]
        told = licensed or told
        silent = [row for row, claim in read if claim is None and _MAIN.fullmatch(splitext(basename(row["path"]))[0])]
        barring = [row for row in silent if not (_is_short(row) and (told or _STUB.fullmatch(_text(row["content"]))))]
        return told + [
            (basename(row["path"]), Claim(None, "directory", "unknown_license", row["path"], row["blob_id"]))
            for row in barring
        ]

    def _license_of(self, row: Row, stated: str | None) -> Claim | None:
        if _is_link(row["mode"]):
            target = self.within(row["path"], _text(row["content"]))
            claim = license_claim(target, self.config, stated) if target else None
            return claim or Claim(None, "directory", "unknown_license", row["path"], row["blob_id"])
        claim = license_claim(row, self.config, stated)
        if claim is None and _is_short(row):
            words = (word for word in _POINTED.findall(_text(row["content"])) if is_license_name(word))
            targets = (one for word in words if (one := self.within(row["path"], word)) is not row)
            read = (license_claim(one, self.config, stated) for one in targets if one)
            return next((one for one in read if one), None)
        return claim

    def within(self, path: str, target: str) -> Row | None:
        """The file that a relative path leads to, if it is in the repository; a link to a link is not followed."""
        found = self.by_path.get(normpath(join_path(dirname(path), target.strip()))) if target.strip() else None
        return None if found is None or _is_link(found["mode"]) else found

    def _manifest_of(self, folder: str) -> Claim | None:
        claims = [claim for row in self.manifests.get(folder, ()) if (claim := self._declared(row)) is not None]
        understood = [claim for claim in claims if claim.license is not None]
        if not understood:
            return claims[0] if claims else None
        shown = next((claim for claim in understood if not claim.free), understood[0])
        return replace(shown, license=join(str(claim.license) for claim in understood))

    def _declared(self, row: Row) -> Claim | None:
        pointer = license_pointer(row["declared"])
        if pointer is None:
            return manifest_claim(row)
        target = self.within(row["path"], pointer)
        claim = license_claim(target, self.config) if target else None
        if claim is None:
            return Claim(None, "manifest", "unknown_license", row["path"], row["blob_id"])
        return replace(claim, source="manifest")


def _backed(found: Sequence[tuple[str, Claim]], stated: str | None) -> list[tuple[str, Claim]]:
    """Leave out files about bundled parts (LICENSE_STIX) where LICENSE itself and the manifest are permissive."""
    plain = [one for one in found if _PLAIN.fullmatch(splitext(one[0])[0])]
    if not is_free(stated) or not any(claim.free for _, claim in plain):
        return list(found)
    return [one for one in found if one in plain or _ASSETS.search(one[0]) or _COPYLEFT_NAME.search(one[0])]


def _merge(claims: Sequence[Claim], stated: str | None, readme: Claim | None) -> Claim:
    """Several licence files bind together, unless something beside them calls them a choice."""
    named = [claim for claim in claims if claim.license is not None]
    bad = next((claim for claim in claims if claim.reason != "resolved"), None)
    if bad is not None:
        return replace(bad, license=combine(str(claim.license) for claim in named))
    expressions = [str(claim.license) for claim in named]
    choices = (stated, readme.license if readme else None, *expressions)
    if len(set(expressions)) > 1 and any(_offers(choice, expressions) for choice in choices):
        exact = next((one for one in choices if one and " OR " in one and set(ids(one)) >= _all_ids(expressions)), None)
        offered = stated if _offers(stated, expressions) else combine(expressions, "OR")
        return replace(named[0], license=exact or offered)
    shown = next((claim for claim in named if not claim.free), named[0])
    return replace(shown, license=join(expressions))


def _mapped(expression: str | None, row: Row) -> Claim:
    reason = "unknown_license" if expression is None else "resolved"
    return Claim(expression, "reuse", reason, row["path"], row["blob_id"])


def _offers(choice: str | None, expressions: Sequence[str]) -> bool:
    """Tell whether an expression offers a choice that all the others are part of."""
    return choice is not None and " OR " in choice and families([choice]) >= families(expressions)


def _all_ids(expressions: Sequence[str]) -> set[str]:
    return {name for one in expressions for name in ids(one)}


def _is_short(row: Row) -> bool:
    content = row["content"]
    return content is not None and len(content) <= _SMALL


def _is_link(mode: int | None) -> bool:
    return mode is not None and mode & _LINK_MASK == _LINK


def _text(content: bytes | str | None) -> str:
    if content is None:
        return ""
    return content if isinstance(content, str) else content.decode("utf-8", "replace")
