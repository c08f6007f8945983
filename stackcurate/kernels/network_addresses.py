"""Addresses of machines on one line of text: IP and MAC, without versions, object identifiers and reserved ranges."""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources

import regex

from stackcurate.kernels.byte_patterns import Span
from stackcurate.kernels.recognizers import on_line


@cache
def kept(kind: str) -> frozenset[str]:
    """Return a list of `data/pii/keep.toml`: what looks like personal data and is none."""
    text = resources.files("stackcurate").joinpath("data/pii/keep.toml").read_text(encoding="utf-8")
    return frozenset(tomllib.loads(text)[kind])


_GLUED_BEFORE = regex.compile(r"(?<=[\p{L}\d_.]|[\d.][-+]|(?<!\b(?:ip|host|addr|server))\p{L}-)$")
_GLUED_AFTER = regex.compile(
    r"\.?\d|[\p{L}_]|-[\d\p{L}]|@sha\d|\.(?:tar|tgz|t?[gx]z|bz2|zip|7z|whl|gem|jar|war|deb|rpm|apk|exe|msi|dll|so|dmg|nupkg)\b"
)
_IMAGE = regex.compile(r"^\s*(?:FROM|-?\s*image:)\s[^\s]*:$")
_PACKAGE = regex.compile(r"pkg:[^\s\"']*@$")
_GEM = regex.compile(r"^\s{2,}[\w-]+ \([^()]*\)(?: \w+=\w+)?\s*$")
_PATH_DATA = regex.compile(r"<path|\bd=[\"'][Mm]")
_VERSION_BEFORE = regex.compile(
    r"(?i)(?:\b|_|(?-i:(?<=\p{Ll})(?=V)))"
    r"(?:v|ver|version|rev|revision|release|build|oid|section|sec|chapter|clause|figure|table|rfc|item|annex)"
    r"[\p{L}\p{N}_]*[\"')\]]*[\s:=(\"'<>§,#-]{0,6}$|§\s*$|(?<![:/])[\p{L}\d)_-]/v?$|[~^]$|[\p{L}\d_\]][=<>~]=$"
)
_ADDRESS_NEAR = regex.compile(
    r"(?i)(?:\b|_)(?:ip(?:v4)?|addr(?:ess)?|hosts?|hostname|servers?|gateway|dns|proxy|ping|ssh|https?|listen|bind|peer"
    r"|remote|subnet|route|inet|nameserver|client|endpoint|node)(?:\b|_|s\b)|://|@$"
)


def ips(text: str) -> Iterator[Span]:
    """Yield the public IP addresses on a line, in characters from its start."""
    for hit in on_line("IpRecognizer", text):
        value = text[hit.start : hit.end].partition("/")[0].partition("%")[0]
        end = hit.start + len(value)
        if _is_public(value) and not _is_number(text, hit.start, end, value):
            yield Span(hit.start, end, "IP_ADDRESS", "presidio.ip", hit.score)


def _is_public(value: str) -> bool:
    """Say whether an address can be that of a machine of somebody on the Internet."""
    address = ipaddress.ip_address(value)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if mapped:
        return _is_public(str(mapped))
    if isinstance(address, ipaddress.IPv6Address) and (
        address not in _GLOBAL_UNICAST or address in _DOCUMENTATION_6 or len([g for g in value.split(":") if g]) < 3
    ):
        return False
    stand_in = str(address) in kept("ips") or (address.version == 4 and len(set(value.split("."))) == 1)
    return address.is_global and not address.is_multicast and not stand_in


_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_DOCUMENTATION_6 = ipaddress.ip_network("3fff::/20")
"""Source: RFC 4291 and RFC 9637."""


def _is_number(text: str, start: int, end: int, value: str) -> bool:
    """Say whether dotted numbers are a version, an object identifier or coordinates rather than an address."""
    if ":" in value:
        return False
    before = text[max(0, start - 40) : start]
    if _GLUED_BEFORE.search(before) or _GLUED_AFTER.match(text, end) or _PATH_DATA.search(text):
        return True
    if _VERSION_BEFORE.search(before) or _PACKAGE.search(before) or _IMAGE.match(text[:start]) or _GEM.match(text):
        return True
    return max(map(int, value.split("."))) < 32 and not _ADDRESS_NEAR.search(text[:start])


def macs(text: str) -> Iterator[Span]:
    """Yield the MAC addresses of single machines on a line, in characters from its start."""
    for hit in on_line("MacAddressRecognizer", text):
        digits = regex.sub(r"[:.-]", "", text[hit.start : hit.end]).lower()
        longer = regex.search(r"[0-9A-Fa-f][:.-]$", text[: hit.start]) or regex.match(
            r"[:.-][0-9A-Fa-f]", text[hit.end :]
        )
        shared = int(digits[1], 16) & 1 or digits.startswith("00005e0053")  # multicast; RFC 7042 documentation
        if not longer and not shared and len(set(digits)) > 3 and digits not in kept("macs") and not digits.isdigit():
            yield Span(hit.start, hit.end, "MAC_ADDRESS", "presidio.mac", hit.score)
