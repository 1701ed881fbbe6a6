"""Chromium shows the pages whole, as wide as a desk and as a phone, without complaint."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from pipeline.api.server import bind

WIDE, PHONE = (1200, 900), (500, 900)  # Chromium makes no window narrower than 500


@pytest.fixture(scope="module", name="address")
def a_server_that_listens(pages: Any) -> Iterator[str]:
    """The application of `pages`, on a port."""
    listening = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(pages.app, lifespan="off", log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listening.close()


@pytest.mark.parametrize("path", ["/", "/verify", "/optout"])
@pytest.mark.parametrize(("width", "height"), [WIDE, PHONE])
def test_screenshots(
    browse: Any, address: str, tmp_path: Path, picture_size: Any, path: str, width: int, height: int
) -> None:
    shot = tmp_path / "page.png"
    browse(address + path, f"--window-size={width},{height}", f"--screenshot={shot}")
    assert picture_size(shot) == (width, height)
    assert shot.stat().st_size > 15_000  # an empty page is a few kB


def test_the_page_as_it_is_built(browse: Any, address: str) -> None:
    """The browser accepts the style sheet and the form; its policy stops nothing that we wrote."""
    text = browse(address + "/optout", "--dump-dom", "--enable-logging=stderr", "--v=0")
    assert re.search(r'<form action="/optout" method="post"', text)
    assert "Refused" not in text
    assert "<h1" in text
