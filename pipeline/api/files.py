"""The one route that serves files: a release's, as long as the database says that it is released."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from pipeline.api import shapes
from pipeline.api.state import Here, Service
from pipeline.errors import RangeImpossible, RouteUnknown, TooBusy, Withdrawn
from registry import releases
from registry.errors import NotFound
from registry.ids import is_id
from registry.store import Area, Readable
from registry.types import Release, ReleaseState

CHUNK: Final = 256 * 1024
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)

router = APIRouter(tags=["releases"])


@router.get("/v1/releases/{release_id}/file", response_class=Response, responses=shapes.FILE)
async def get_file(release_id: str, request: Request, here: Here) -> Response:
    """The released file. The database is asked at each request; a withdrawn release is gone (410).

    It needs no key: what is released is public to whoever knows its id. One range of bytes can be asked for.
    """
    release = await asyncio.to_thread(_released, here, release_id)
    file = await asyncio.to_thread(_open, here, release)
    try:
        size = await asyncio.to_thread(file.seek, 0, os.SEEK_END)
        first, last, status = _range(_wanted(request, release), size)
    except BaseException:
        file.close()
        raise
    headers = {
        "Accept-Ranges": "bytes", "Content-Length": str(last - first + 1), "ETag": f'"{release.file_sha256}"',
        "Content-Disposition": f'inline; filename="{release.id}.mp4"',
    }  # fmt: skip
    if status == 206:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return _FileResponse(file, first, last, status, headers)


def _released(here: Service, release_id: str) -> Release:
    """The release, if it may be served. A job that is held, or open, has none."""
    release = releases.get(here.app.engine, release_id) if is_id(release_id) else None
    if release is None:
        raise RouteUnknown("there is no such release; check its id")
    if release.state is not ReleaseState.RELEASED:
        raise Withdrawn("this release was withdrawn; its file is not handed out any more")
    return release


def _open(here: Service, release: Release) -> Readable:
    """The file, opened: its place is made of the digest in the database, of nothing in the request."""
    try:
        return here.app.store.open(Area.RELEASED, release.file_sha256)
    except NotFound:
        raise TooBusy("the released file is being put into its place; try again in a moment") from None


def _wanted(request: Request, release: Release) -> str:
    """The range that is asked for; none for who has a part of another file (RFC 9110, If-Range)."""
    known = request.headers.get("if-range", "")
    return request.headers.get("range", "") if known in ("", f'"{release.file_sha256}"') else ""


def _range(wanted: str, size: int) -> tuple[int, int, int]:
    """First and last byte, and the status. What is no single range is ignored, as RFC 9110 allows."""
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or found[1] == found[2] == "":
        return 0, size - 1, 200
    if found[1] == "":
        first, last = max(size - int(found[2]), 0), size - 1
    else:
        first, last = int(found[1]), min(int(found[2] or size), size - 1)
    if first > last and found[1] and found[2] and int(found[2]) < int(found[1]):
        return 0, size - 1, 200
    if first > last:
        raise RangeImpossible(f"the file has {size} bytes; ask for some of them")
    return first, last, 206


class _FileResponse(StreamingResponse):
    """Sends bytes `first` to `last` of an open file, and closes it, whatever happens."""

    def __init__(
        self, file: Readable, first: int, last: int, status: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(_read(file, first, last), status, headers, "video/mp4")
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


async def _read(file: Readable, first: int, last: int) -> AsyncIterator[bytes]:
    await asyncio.to_thread(file.seek, first)
    while first <= last:
        chunk = await asyncio.to_thread(file.read, min(CHUNK, last - first + 1))
        if not chunk:
            return
        first += len(chunk)
        yield chunk
