r"""Contacts on one line of text: e-mail and IP addresses, telephone, card and account numbers, user names.

Presidio's recognizers find; the rules here say what stays: addresses reserved for documentation or private
networks, resolvers, versions and object identifiers, remotes of version control, annotations, test numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import regex

from stackcurate.kernels.byte_patterns import Pattern, Span
from stackcurate.kernels.network_addresses import ips, kept, macs
from stackcurate.kernels.recognizers import on_line, suffixes

OBFUSCATED_AT = r"[ \t]*(?:\(at\)|\[at\]|\{at\}|<at>|&#64;|&#x40;|&commat;|%40|\\\\?u0040|\\\\?x40)[ \t]*"

GATES = (
    Pattern("contacts.email", r"[!-?A-~\x80-\xff]@[0-9A-Za-z_\x80-\xff-]+\.[0-9A-Za-z_\x80-\xff]"),
    Pattern("contacts.hidden_email", OBFUSCATED_AT, caseless=True),
    Pattern("contacts.hidden_email", r"[0-9a-z][ _]at[ _][0-9a-z-]+[ _]dot[ _][a-z]", caseless=True),
    Pattern("contacts.ip", r"(?:[0-9]{1,3}\.){3}[0-9]"),
    Pattern("contacts.ip", r"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f]{0,4}:"),
    Pattern("contacts.mac", r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}"),
    Pattern("contacts.mac", r"[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}"),
    Pattern("contacts.phone", r"\+[1-9][0-9 ().\-]{6,}[0-9]"),
    Pattern("contacts.card", r"[23456][0-9]{3}[ -]?[0-9]{3,6}[ -]?[0-9]{3,5}[ -]?[0-9]{3,5}"),
    Pattern("contacts.iban", r"[A-Z]{2}[0-9]{2} ?(?:[A-Z0-9]{4} ?){2}[A-Z0-9]"),
    Pattern("contacts.home", r"(?:home|users)[/\\]+[a-z]", caseless=True),
    Pattern(
        "contacts.handle",
        r"(?:by|to|you|via|cc|and|credits?|kudos|props|from|t|authors?|maintainers?|[,&:]):? \[?@[a-z0-9]",
        True,
    ),
    Pattern("contacts.user", r"://[^/ \n@:]+(?::[^/ \n]*)?@"),
)
"""Necessary conditions of the rules below, for one pass over the bytes."""

_Rule = Callable[[str], Iterator[Span]]


def find(text: str, fired: set[str]) -> list[Span]:
    """Return the contacts on a line, in characters from its start.

    Args:
        text: one line, or a piece of a long one.
        fired: names of the gates that fired on it.

    >>> find("# mail karin@firma.se or user@example.com", {"contacts.email"})
    [Span(start=7, end=21, entity='EMAIL', rule='presidio.email', score=1.0)]
    """
    blanked = _STRING_ESCAPE.sub("  ", text)  # else the letter of `\\n` hides where a number begins
    return [
        span for gate, rule in _RULES.items() if gate in fired for span in rule(blanked if gate in _NUMBERS else text)
    ]


_NUMBERS = {"contacts.ip", "contacts.mac", "contacts.phone", "contacts.card", "contacts.iban"}
_STRING_ESCAPE = regex.compile(r"\\[nrt]")


@cache
def _email_recognizer() -> Any:
    """Make Presidio's recognizer without its own look at the domain, which look-alike letters deceive."""
    from presidio_analyzer import predefined_recognizers as presidio

    class EmailRecognizer(presidio.EmailRecognizer):  # type: ignore[misc]
        def validate_result(self, pattern_text: str) -> bool:
            return registered_domain(pattern_text.rpartition("@")[2]) != ""

    return EmailRecognizer()


@cache
def _phone_recognizer() -> Any:
    """Make Presidio's recognizer for numbers in international format only."""
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    return PhoneRecognizer(supported_regions=(None,))


_LOOKALIKES = str.maketrans("аеорсухіјѕԁɡ", "aeopcyxijsdg")


def registered_domain(host: str) -> str:
    """Return the name and public suffix of a host, or "" where it ends in no public suffix.

    >>> registered_domain("mail.firma.co.uk"), registered_domain("2x.png")
    ('firma.co.uk', '')
    """
    name = host.strip(".").lower()
    for spelled in (name, name.translate(_LOOKALIKES)):
        parts = suffixes()(spelled)
        if parts.domain and parts.suffix:
            return f"{parts.domain}.{parts.suffix}"
    return ""


_CODE_BEFORE_LOCAL = regex.compile(r".*[=/'?{}|`!#$%&^*~]|^[-+]+", regex.DOTALL)
_ESCAPE = regex.compile(r"(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[nrtbfv0])")
_NO_DOMAIN = regex.compile(r"v?\d+\.\d+(?:\.|$)|\d+x\.")
_RESERVED_SUFFIX = ("test", "example", "invalid", "localhost", "local", "lan", "internal")


_AT_DOMAIN = regex.compile(r"@(?=\w[\w-]*\.\w)[\w.-]+")
_LONGEST_LOCAL = 128
"""RFC 5321 allows 64. Presidio's expression is quadratic in what stands before the at sign: it sees no more."""


def _emails(text: str) -> Iterator[Span]:
    for match in _AT_DOMAIN.finditer(text):
        at, first = match.start(), max(0, match.start() - _LONGEST_LOCAL)
        for hit in _email_recognizer().analyze(text[first : match.end() + 1], []):
            if first + hit.start < at < first + hit.end:
                yield from _email(text, first + hit.start, at, first + hit.end, float(hit.score))


def _email(text: str, start: int, at: int, end: int, score: float) -> Iterator[Span]:
    """Yield the address without the code in front of it, unless it is to be kept."""
    start = _local_start(text, start, at)
    if start == at or not _is_address(text[start:at], text[at + 1 : end]) or text.startswith(("(", "["), end):
        return  # a bracket behind the domain: `a@b.dot(c)` multiplies matrices
    if not _USERINFO_BEFORE.search(text, max(0, start - _LONGEST_LOCAL), start):
        yield Span(start, end, "EMAIL", "presidio.email", score)


_USERINFO_BEFORE = regex.compile(r"://[^/\s@]*$")


def _local_start(text: str, start: int, at: int) -> int:
    """Skip code in front of the local part, and the escape that a string literal has there."""
    code = _CODE_BEFORE_LOCAL.match(text, start, at)
    start = code.end() if code else start
    slashes = len(text[:start]) - len(text[:start].rstrip("\\"))
    escape = _ESCAPE.match(text, start, at) if slashes % 2 else None
    return escape.end() if escape else start


def _is_address(local: str, domain: str) -> bool:
    """Say whether the address may be that of a person; RFC 2606 and RFC 6761 name those that are not."""
    local, domain = local.lower(), domain.lower()
    registered = registered_domain(domain)
    labels = domain.split(".")
    return not (
        not registered
        or labels[-1] in _RESERVED_SUFFIX
        or "example" in labels
        or registered.partition(".")[0] in kept("domains")
        or local in kept("mailboxes")
        or _NO_DOMAIN.match(domain)
    )


_WORD = r"[\p{L}\p{N}_-]+"
_DOT = r"(?:[ \t]*[(\[{<]dot[)\]}>][ \t]*|[ \t]dot[ \t]|_dot_|\.)"
_HIDDEN = regex.compile(
    rf"(?<local>(?<![\p{{L}}\p{{N}}_.+-])[\p{{L}}\p{{N}}][\p{{L}}\p{{N}}_+-]*?(?:{_DOT}[\p{{L}}\p{{N}}_+-]+?)*?)"
    rf"(?<at>{OBFUSCATED_AT}|[ \t]at[ \t]|_at_)(?<domain>{_WORD}(?:{_DOT}{_WORD})+)",
    regex.IGNORECASE,
)
_SPELLED_DOT = regex.compile(_DOT, regex.IGNORECASE)


def _hidden_emails(text: str) -> Iterator[Span]:
    for match in _HIDDEN.finditer(text):
        spelled_at = match["at"].strip(" \t_").lower() == "at"
        if spelled_at and not regex.search("dot", match["domain"], regex.IGNORECASE):
            continue  # "look at site.com"
        local, domain = (_SPELLED_DOT.sub(".", match[part]) for part in ("local", "domain"))
        if _is_address(local, domain):
            yield Span(match.start(), match.end(), "EMAIL", "contacts.hidden_email", 0.9)


_FICTION = regex.compile(r"\+1\D*(?:\d{3}\D*)?555|\+44\D*(?:7700\D*900|20\D*7946\D*0)|\+1\D*(\d)\1\1|\+\D*1234567")
"""Source: NANPA and Ofcom, numbers for use in fiction."""


def _phones(text: str) -> Iterator[Span]:
    for hit in _phone_recognizer().analyze(text, []):
        value = text[hit.start : hit.end]
        anchored = regex.search(r"(?i)(?:tel|phone|mobile|fax|call|whatsapp|sms)[^+]{0,12}$|[\"']$", text[: hit.start])
        if value.startswith("+") and not _FICTION.match(value) and (anchored or regex.search(r"\d[ ().-]+\d", value)):
            yield Span(hit.start, hit.end, "PHONE", "presidio.phone", 0.75)


_CARD_CONTEXT = regex.compile(r"(?i)card|visa|amex|mastercard|maestro|discover|diners|jcb|credit|debit|\bpan\b|\bcc")
_ISSUED = regex.compile(
    r"4\d{12}(?:\d{3})?(?:\d{3})?|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|6(?:011|5\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}"
)
"""Source: ISO/IEC 7812 ranges that the schemes publish."""


def _cards(text: str) -> Iterator[Span]:
    for hit in on_line("CreditCardRecognizer", text):
        value = text[hit.start : hit.end]
        digits = regex.sub(r"[ -]", "", value)
        grouped = regex.fullmatch(r"(\d{4})([ -])\d{4}\2\d{4}\2\d{4}|\d{4}([ -])\d{6}\3\d{5}", value)
        part = regex.search(r"[\p{L}\d_.-]$", text[: hit.start]) or regex.match(r"[\p{L}\d_-]|\.\d", text[hit.end :])
        if (
            _ISSUED.fullmatch(digits)
            and not part
            and digits not in kept("cards")
            and len(set(digits)) > 3
            and (grouped or _CARD_CONTEXT.search(text))
        ):
            yield Span(hit.start, hit.end, "CREDIT_CARD", "presidio.card", hit.score)


def _ibans(text: str) -> Iterator[Span]:
    for hit in on_line("IbanRecognizer", text):
        if text[hit.start : hit.end].replace(" ", "").lower() not in kept("ibans"):
            yield Span(hit.start, hit.end, "IBAN", "presidio.iban", hit.score)


_HOME = regex.compile(
    r"(?<![\p{L}\p{N}_.~)}>*-])(?:(?<root>/home/|/Users/)|(?:[A-Za-z]:|/mnt/[a-z]|/[a-z])?[/\\]+Users[/\\]+)"
    r"(?<user>\p{L}[\p{L}\p{N}_.-]{1,31})(?<rest>[/\\]+|(?=[\"'\s:;,)]|$))"
)


def _home_users(text: str) -> Iterator[Span]:
    for match in _HOME.finditer(text):
        user, before = match["user"].lower(), text[: match.start()]
        bare = not match["rest"] and not regex.search(r"(?i)(?:home|cd|file:/?/?|path|dir)[=:\"'\s]*$", before)
        route = match["root"] == "/home/" and user in kept("routes")
        if not (bare or route or user.rstrip(".") in kept("users") or regex.fullmatch(r"user\d*", user)):
            yield Span(match.start("user"), match.end("user"), "USERNAME", "contacts.home", 0.85)


_THANKED = regex.compile(
    r"(?i)(?:\bthanks?(?:,|:| you| go(?:es)?)?(?: also)?(?: to)?|\bby|\bvia|\bcc|\bcredits?(?: to| for)?:?"
    r"|\bkudos(?: to)?|\bprops(?: to)?|\bh/t|\bcourtesy of|\bfrom|\bauthors?:?|\bmaintainers?:?)"
    r"(?:[ :,]*\[?@(?<user>[a-z\d](?:[a-z\d-]{0,37}[a-z\d])?)(?![\p{L}\p{N}_/@(-]|\.\p{L})"
    r"(?:\]\([^)\s]*\))?(?:,? and| &|,)?)+"
)


def _handles(text: str) -> Iterator[Span]:
    for match in _THANKED.finditer(text):
        for start, end in match.spans("user"):
            user = text[start:end].lower()
            if user not in kept("at_words") | kept("users") and not regex.fullmatch(r"user\d*|\d+x?", user):
                yield Span(start, end, "USERNAME", "contacts.handle", 0.8)


_USERINFO = regex.compile(r"://(?<user>[^\s/:@\"'<>{}$%()\[\]|\\,]{2,})(?::[^\s/@]*)?@[\p{L}\p{N}\[]")


def _url_users(text: str) -> Iterator[Span]:
    for match in _USERINFO.finditer(text):
        user = match["user"].lower()
        if user not in kept("users") | kept("mailboxes") and not regex.fullmatch(
            r"user\d*|.*token.*|oauth2?|pass(?:word)?", user
        ):
            yield Span(match.start("user"), match.end("user"), "USERNAME", "contacts.user", 0.7)


_RULES: dict[str, _Rule] = {
    "contacts.email": _emails,
    "contacts.hidden_email": _hidden_emails,
    "contacts.ip": ips,
    "contacts.mac": macs,
    "contacts.phone": _phones,
    "contacts.card": _cards,
    "contacts.iban": _ibans,
    "contacts.home": _home_users,
    "contacts.handle": _handles,
    "contacts.user": _url_users,
}
