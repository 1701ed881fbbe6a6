"""The pages: no script, a strict policy, nothing from elsewhere, every field labelled, errors in the form."""

import base64
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipeline.credentials.report_key import ReportKey
from pipeline.verify.examining import digest_of
from pipeline.verify.report_check import check

PAGES = ("/", "/verify", "/optout")


class Page(HTMLParser):
    """Elements of a page, with their attributes, and whether every tag closes."""

    VOID = frozenset({"meta", "link", "input", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def send(pages: Any, path: str, fields: dict[str, str], **headers: str) -> Any:
    parts: list[Any] = [(name, (None, value)) for name, value in fields.items()]
    return pages.post(path, files=parts, headers=headers)


def sound(answer: Any) -> Page:
    """Nothing on the page runs, and nothing comes from elsewhere."""
    page = Page(answer.text)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert not page.all("script") + page.all("style") + page.all("iframe")
    for _, attributes in page.found:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("src", "href", "action"):
            value = attributes.get(name) or ""
            assert value.startswith(("/", "#", "data:")) or not value
            assert not value.startswith("//")
    names = Counter(str(attributes["id"]) for _, attributes in page.found if "id" in attributes)
    assert max(names.values()) == 1
    return page


@pytest.mark.parametrize("path", PAGES)
def test_pages(pages: Any, path: str) -> None:
    answer = pages.get(path)
    assert answer.status_code == 200
    page = sound(answer)
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert "<b>Example" not in answer.text
    assert "&lt;b&gt;Example &amp; Sons" in answer.text
    assert not answer.headers.get("set-cookie")


@pytest.mark.parametrize("path", ["/verify", "/optout"])
def test_every_field_has_a_label(pages: Any, path: str) -> None:
    text = pages.get(path).text
    page = Page(text)
    named = {label["for"] for label in page.all("label") if "for" in label}
    fields = [*page.all("input"), *page.all("textarea")]
    inside = len(re.findall(r"<label class=\"(?:card|tick)\"><input", text))
    assert sum(field.get("id") not in named for field in fields) == inside
    ids = {attributes.get("id") for _, attributes in page.found}
    for field in fields:
        assert field.get("aria-describedby") in ids | {None}


def test_the_style_sheet(pages: Any) -> None:
    page = Page(pages.get("/").text)
    address = page.all("link")[0]["href"]
    answer = pages.get(address)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert "url(" not in answer.text
    assert "@import" not in answer.text


def test_a_report(pages: Any, make_clip: Any, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 320, 192, 24)
    answer = pages.post("/verify", files={"file": ('<img src="x">.mp4', clip.read_bytes())})
    assert answer.status_code == 200
    page = sound(answer)
    assert "Nothing found. This does not mean that it is a camera recording." in answer.text
    assert (
        'src="x"' not in answer.text.replace("&#34;", '"').replace("&quot;", '"') or "&lt;img" in answer.text
    )
    saved = {str(link["download"]): str(link["href"]) for link in page.all("a") if "download" in link}
    kept = json.loads(base64.b64decode(saved["report.json"].partition(",")[2]))
    assert kept["verdict"] == "none"
    known = [ReportKey.from_hex(pages.get("/v1/report-key").json()["public"])]
    for name in ("report.html", "report-signed.json"):
        checked = check(base64.b64decode(saved[name].partition(",")[2]), known)
        [one] = checked.statements
        assert checked.holds
        assert one.is_about(digest_of(clip))
        assert one.told.checker.audience == "everybody"
        assert one.told.report == kept


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        ({}, 415, "multipart"),
        ({"file": ("a.mp4", b"")}, 422, "The file is empty"),
        ({"file": ("a.mp4", bytes(3 * 1024 * 1024))}, 413, "larger than"),
        ({"clip": ("a.mp4", b"x")}, 422, "exactly one file"),
    ],
)
def test_a_clip_that_cannot_be_taken(pages: Any, files: Any, status: int, words: str) -> None:
    answer = pages.post("/verify", files=files)
    assert answer.status_code == status
    sound(answer)
    assert 'role="alert"' in answer.text
    assert words in answer.text


def test_no_video_is_a_report(pages: Any) -> None:
    answer = pages.post("/verify", files={"file": ("a.mp4", b"no video")})
    assert (answer.status_code, "cannot be read as a video" in answer.text) == (200, True)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_forms_of_other_sites(pages: Any, site: str) -> None:
    answer = send(pages, "/verify", {"file": "x"}, **{"Sec-Fetch-Site": site})
    assert (answer.status_code, "another site" in answer.text) == (422, True)
