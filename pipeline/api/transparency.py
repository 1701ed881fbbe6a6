"""The log for everybody: checkpoint, tiles, proofs; and the registry in numbers. Nothing needs a key."""

import re
from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import JSONResponse, Response

from pipeline.api import shapes
from pipeline.api.state import Here
from pipeline.errors import RouteUnknown
from registry import export, log, receipts
from registry.db import read
from registry.errors import NotFound, ProofInvalid
from registry.tiles import parse_path

FOREVER: Final = "public, max-age=31536000, immutable"
MAX_SEQ: Final = 2**53
_TILE: Final = re.compile(r"[0-9a-z/.]{1,80}", re.ASCII)

router = APIRouter(tags=["transparency"])

Seq = Annotated[int, Path(ge=1, le=MAX_SEQ, description="the number of an entry")]
Size = Annotated[int, Query(ge=1, le=MAX_SEQ, description="entries of a checkpoint")]


@router.get("/v1/log", response_model=shapes.LogAnswer)
def get_log(here: Here) -> JSONResponse:
    """The log's name and public key, and its latest checkpoint."""
    with read(here.app.engine) as conn:
        note = log.latest(conn)
    return JSONResponse({"origin": here.app.signer.origin, "key": here.app.log_vkey, "checkpoint": note})


@router.get("/log/checkpoint", response_class=Response, responses=shapes.NOTE)
def get_checkpoint(here: Here) -> Response:
    """The latest checkpoint: a signed note (C2SP tlog-checkpoint)."""
    with read(here.app.engine) as conn:
        note = log.latest(conn)
    if note is None:
        raise RouteUnknown("the log is empty; there is no checkpoint yet")
    return Response(note, media_type="text/plain; charset=utf-8")


@router.get("/log/tile/{tile:path}", response_class=Response, responses=shapes.TILE)
def get_tile(tile: str, here: Here) -> Response:
    """A tile of hashes or a bundle of entries (C2SP tlog-tiles); full ones never change."""
    try:
        wanted = parse_path(f"tile/{tile}") if _TILE.fullmatch(tile) else None
        with read(here.app.engine) as conn:
            content = export.content(conn, wanted) if wanted else None
    except (ProofInvalid, NotFound):
        wanted = content = None
    if wanted is None or content is None:
        raise RouteUnknown("the log has no such tile; begin with its checkpoint")
    headers = {"Cache-Control": FOREVER} if wanted.full else {}
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.get("/v1/log/entries/{seq}", response_model=shapes.EntryAnswer)
def get_entry(seq: Seq, here: Here) -> JSONResponse:
    """An entry as everybody may read it, with its proof in the latest checkpoint: a receipt."""
    try:
        with read(here.app.engine) as conn:
            return JSONResponse(receipts.receipt(conn, seq, opened=False))
    except NotFound:
        raise RouteUnknown("the log has no such entry, or no checkpoint covers it yet") from None


@router.get("/v1/log/consistency", response_model=shapes.ConsistencyAnswer)
def get_consistency(here: Here, old: Size, new: Size) -> JSONResponse:
    """That one checkpoint extends another."""
    try:
        with read(here.app.engine) as conn:
            return JSONResponse(receipts.consistency(conn, old, new))
    except (NotFound, ProofInvalid):
        raise RouteUnknown("there are no two checkpoints of these sizes, the older one first") from None


@router.get("/v1/transparency", response_model=shapes.TransparencyAnswer)
def get_transparency(here: Here) -> JSONResponse:
    """The registry in numbers: opt-outs, decisions by month, releases, and how often checks were wrong."""
    found = here.counted.now()
    rates = {
        "held_in_vain": _rate(found.held_in_vain), "overturned": _rate(found.overturned),
        "appeals_granted": _rate(found.appeals_granted),
    }  # fmt: skip
    return JSONResponse(asdict(found) | rates)


def _rate(of: tuple[int, int]) -> dict[str, int]:
    return {"count": of[0], "of": of[1]}
