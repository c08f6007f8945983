"""Contacts on a line: what is found, what is kept, and that hostile lines cost little."""

import time

import pytest

from stackcurate.kernels import contacts
from stackcurate.kernels.byte_patterns import candidates


def found(text):
    fired = {gate for gate, _, _ in candidates(text.encode(), contacts.GATES)}
    return [(text[span.start : span.end], span.entity) for span in contacts.find(text, fired)]


@pytest.mark.parametrize(
    ("text", "value", "entity"),
    [
        ("email=karin@firma.se", "karin@firma.se", "EMAIL"),
        ('"line\\nkarin@firma.se"', "karin@firma.se", "EMAIL"),
        ("\\u003ckarin@firma.se\\u003e", "karin@firma.se", "EMAIL"),
        ("mailto:karin%40firma.se", "karin%40firma.se", "EMAIL"),
        ("karin&#64;firma.se", "karin&#64;firma.se", "EMAIL"),
        ("karin [at] firma [dot] co [dot] uk", "karin [at] firma [dot] co [dot] uk", "EMAIL"),
        ("karin@gm\u0430il.com", "karin@gm\u0430il.com", "EMAIL"),
        ("12345+karin@users.noreply.github.com", "12345+karin@users.noreply.github.com", "EMAIL"),
        ("route 54.12.33.0/24", "54.12.33.0", "IP_ADDRESS"),
        ('if ip == "54.12.33.177":', "54.12.33.177", "IP_ADDRESS"),
        ("ping 5.9.1.2", "5.9.1.2", "IP_ADDRESS"),
        ("server\\n54.12.33.177", "54.12.33.177", "IP_ADDRESS"),
        ("ssh karin@54.12.33.177", "54.12.33.177", "IP_ADDRESS"),
        ("call +46 70 123 45 67 now", "+46 70 123 45 67", "PHONE"),
        ("card 4539 1488 0343 6467", "4539 1488 0343 6467", "CREDIT_CARD"),
        ("DE44500105175407324931", "DE44500105175407324931", "IBAN"),
        ("C:\\Users\\tom\\x", "tom", "USERNAME"),
        ("C:\\\\Users\\\\karinl\\\\x", "karinl", "USERNAME"),
        ("HOME=/home/karinl", "karinl", "USERNAME"),
        ("https://karin@bitbucket.org/x.git", "karin", "USERNAME"),
    ],
)
def test_found(text, value, entity):
    assert (value, entity) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "a@b.dot(c)",
        "x = W@x.T",
        "left-pad@1.3.0-beta.dev",
        "noreply@firma.se",
        "someone@example.co.uk",
        "look at site.com",
        "https://karin:word@firma.se/x".replace("karin", "admin"),
        "pkg==54.12.33.177",
        "v54.12.33.177",
        "see rfc7231#section-3.1.2.1",
        '<path d="M 54.12.33.177"/>',
        "x-ip: 4.4.4.4",
        "fe80::1 fd00::1:2:3 2001:db8::7 ::1",
        "sha256 AA:BB:CC:DD:EE:01:02:03:04:05:06",
        "00:11:22:33:44:55 00:00:5E:00:53:AF 01:00:5e:11:3a:b7",
        "tel +1-415-555-2671",
        "4242 4242 4242 4242",
        "id = 4539148803436467",
        "GB82 WEST 1234 5698 7654 32",
        "<a href='/home/contact/form'>",
        "/home/user12/x /home/runner/work /Users/Shared/x",
        "decorated by @property and @beartype.door",
        "user1@redacted.invalid",
    ],
)
def test_kept(text):
    assert found(text) == []


def test_spans_of_several_handles():
    assert found("(#12 by @karinl, @bob-x and @annotation)") == [("karinl", "USERNAME"), ("bob-x", "USERNAME")]


@pytest.mark.parametrize("piece", ["a.", "1.", "aa-", " at ", "by @a ", "/home/", "+1", "a(dot)", "2a01:", "@a.b"])
def test_a_hostile_line_takes_linear_time(piece):
    gates = {gate.name for gate in contacts.GATES}
    contacts.find("warm@firma.se", gates)
    start = time.process_time()
    contacts.find((piece * 4096)[:4096] + "@x.", gates)
    assert time.process_time() - start < 0.5
