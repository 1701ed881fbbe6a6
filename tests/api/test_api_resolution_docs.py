"""The commands of docs/resolution.md, as somebody types them, against a service."""

import base64
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import cv2
import numpy as np
import pytest

from pipeline.credentials.fingerprint import Fingerprint
from pipeline.credentials.softbinding import encode_payload

PAGE = Path(__file__).parents[2] / "docs/resolution.md"
COMMANDS = re.findall(r"```sh\n(curl .*?)\n```", PAGE.read_text(), re.DOTALL)
HOST = "https://countermark.example"
TEXT, GET, DATA = ("-o", "-H"), "-G", ("-d", "--data-urlencode", "--data-binary")


@dataclass
class Curl:
    """What a command sends, as curl's manual says."""

    method: str = "GET"
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    query: list[str] = field(default_factory=list)
    body: bytes | None = None


def read(command: str, folder: Path) -> Curl:
    """A command after the shell has read it; ``$NAME`` comes from the environment."""
    words = iter(shlex.split(os.path.expandvars(command.replace("\\\n", " "))))
    assert next(words) == "curl"
    told, data = Curl(), list[bytes]()
    for word in words:
        if word == GET:
            told.method = word
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            told.headers[name] = value
        elif word == "-o":
            assert next(words)
        elif word == "--data-urlencode":
            name, _, value = next(words).partition("=")
            data.append(f"{name}={quote(value, safe='')}".encode())
        elif word in DATA:
            given = next(words)
            data.append((folder / given[1:]).read_bytes() if given.startswith("@") else given.encode())
        else:
            assert not word.startswith("-"), word
            told.url = word
    if told.method == GET:
        told.query = [part.decode() for part in data]
    elif data:
        told.body = b"&".join(data)
    told.method = "POST" if told.body is not None else "GET"
    return told


@pytest.fixture(name="folder")
def files_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_clip: Any) -> Path:
    make_clip(tmp_path / "copy.mp4", 96, 64, 16, fps=8)
    shades = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    cv2.imwrite(str(tmp_path / "frame.png"), shades)
    known = Fingerprint(doublings=1, indices=(0, 1, 2, 3), hashes=(1, 2, 3, 4))
    monkeypatch.setenv("VALUE", encode_payload(0xFBEF_BEFB_EFBE_FBEF))  # with + and /
    monkeypatch.setenv("FINGERPRINT", base64.b64encode(known.to_bytes()).decode())
    monkeypatch.setenv("ID", "urn:c2pa:00000000-0000-4000-8000-000000000000")
    return tmp_path


def test_the_page_shows_every_way_to_ask() -> None:
    shown = "\n".join(COMMANDS)
    assert len(COMMANDS) == 5
    for path in ("/v1/matches/byBinding", "/v1/matches/byContent", "/v1/manifests/"):
        assert path in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_answered(served: Any, folder: Path, command: str) -> None:
    """Nothing is released in this service, so an answer is an empty list; a manifest is not there."""
    told = read(command, folder)
    assert told.url.startswith(HOST)
    parts = urlsplit(told.url)
    query = "&".join([parts.query, *told.query]).strip("&")
    answer = served.client.request(
        told.method, f"{parts.path}?{query}", headers=told.headers, content=told.body
    )
    if "/manifests/" in parts.path:
        assert (answer.status_code, answer.json()["code"]) == (404, "route_unknown")
    else:
        assert (answer.status_code, answer.json()) == (200, {"matches": []}), answer.text
