"""Limits: a bucket per client, a largest body, headers on every answer; and the page asks nothing of others."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from stackcurate.web.app import STATIC, create_app
from stackcurate.web.limits import HEADERS, LARGEST_BODY, Buckets
from stackcurate.workspace import Workspace

PAIRS = (("ink", "ground"), ("ink", "raised"), ("quiet", "ground"), ("quiet", "raised"), ("accent", "ground"),
         ("accent", "raised"), ("accent", "tint"), ("on-accent", "accent"), ("bad", "bad-tint"), ("ink", "mark"),
         ("ink", "tint"))  # fmt: skip
"""Colours of text, and what they stand on."""


def test_a_bucket_empties_and_fills_again() -> None:
    now = [0.0]
    buckets = Buckets(60, clock=lambda: now[0])

    assert [buckets.take("a", 20) for _ in range(4)] == [0, 0, 0, 20]
    now[0] = 20
    assert buckets.take("a", 20) == 0
    now[0] = 10_000
    assert [buckets.take("a", 30) for _ in range(3)] == [0, 0, 30]


def test_old_clients_are_forgotten_before_memory_grows() -> None:
    buckets = Buckets(60, clock=lambda: 0.0)
    for number in range(30_000):
        buckets.take(str(number), 1)

    assert len(buckets._clients) == 20_000


def test_who_asks_too_often_waits_and_others_do_not(site: Workspace) -> None:
    app = create_app(site, "v1", 10)
    greedy, other = (TestClient(app, client=(host, 1)) for host in ("192.0.2.1", "192.0.2.2"))
    answers = [greedy.get("/api/funnel") for _ in range(30)]

    assert [answer.status_code for answer in answers[:10]] == [200] * 10
    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert "try again" in answers[-1].json()["error"]
    assert other.get("/api/funnel").status_code == 200
    assert greedy.get("/health").status_code == 200


def test_a_request_costs_more_than_a_question(site: Workspace) -> None:
    client = TestClient(create_app(site, "v1", 8))
    codes = [client.post("/api/attribution", json={"text": "x"}).status_code for _ in range(2)]

    assert codes == [200, 429]


def test_a_long_text_costs_more_than_a_short_one(site: Workspace) -> None:
    client = TestClient(create_app(site, "v1", 20))
    codes = [client.post("/api/attribution", json={"text": "x" * 38_000}).status_code for _ in range(2)]

    assert codes == [200, 429]


def test_neighbours_in_one_network_share_a_bucket(site: Workspace) -> None:
    app = create_app(site, "v1", 10)
    codes = [TestClient(app, client=(f"2001:db8::{n}", 1)).get("/api/funnel").status_code for n in range(30)]

    assert codes[:10] == [200] * 10
    assert codes[-1] == 429


@pytest.mark.parametrize("declared", [True, False])
def test_a_huge_body_is_not_read(site: Workspace, declared: bool) -> None:
    seen = []

    def pieces() -> Iterator[bytes]:
        for _ in range(64):
            seen.append(1)
            yield b"x" * (LARGEST_BODY // 4)

    body = b"x" * (LARGEST_BODY + 1) if declared else pieces()
    answer = TestClient(create_app(site, "v1")).post("/api/attribution", content=body)

    assert answer.status_code == 413
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("path", ["/", "/api", "/api/release", "/static/page.js", "/nothing", "/api/lookup"])
def test_every_answer_bears_the_headers(site: Workspace, path: str) -> None:
    headers = TestClient(create_app(site, "v1")).get(path).headers

    assert {name: headers.get(name) for name in HEADERS} == HEADERS
    assert "unsafe" not in headers["content-security-policy"]


def test_a_refusal_bears_them_too(site: Workspace) -> None:
    client = TestClient(create_app(site, "v1", 1))
    client.get("/api/release")
    answer = client.get("/api/release")

    assert answer.status_code == 429
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_takes_nothing_from_elsewhere_and_writes_no_html() -> None:
    for path in STATIC.iterdir():
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"(?:src|href)=\"(?:https?:)?//|@import|url\(", text) == [], path.name
        assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b| style=|onclick=",
                          text) == [], path.name  # fmt: skip


def test_text_has_contrast_in_both_schemes() -> None:
    """At least 4.5 to 1, as WCAG 2.2 asks for text."""
    schemes = re.findall(r":root \{(.*?)\}", (STATIC / "page.css").read_text(encoding="utf-8"), re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", scheme))
        weak = [pair for pair in PAIRS if contrast(*(colours[name] for name in pair)) < 4.5]
        assert weak == []


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
