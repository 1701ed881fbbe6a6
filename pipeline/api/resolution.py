"""The C2PA Soft Binding Resolution API: others' verifiers find our manifests (docs/resolution.md).

1. Reading needs no key. Who has one (``fetch:manifests`` or ``verify``) is told how strong a match is; who
   has none may not ask about something in many slightly different forms (`pipeline.verify.near_duplicates`).
2. What a request names is never fetched: there is no ``/matches/byReference``.
3. What the standard calls an invalid query is 400 here, also where another route of ours would say 422.
4. Pages of any origin may ask: no cookie counts on these routes.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from python_multipart.multipart import parse_options_header
from starlette.responses import JSONResponse, Response

from pipeline import auth
from pipeline.api import resolution_shapes as shapes
from pipeline.api.bounds import MORE
from pipeline.api.state import Here, Service, optional_caller
from pipeline.api.uploads import UploadedFile
from pipeline.auth import Caller
from pipeline.clock import clock
from pipeline.credentials import softbinding
from pipeline.credentials.fingerprint import Fingerprint
from pipeline.credentials.softbinding import FINGERPRINT_ALGORITHM, WATERMARK_ALGORITHM
from pipeline.credentials.store_boxes import only_active
from pipeline.credentials.text import safe_text
from pipeline.errors import (
    ContentUnsupported,
    QueryTooLong,
    RouteUnknown,
    TooBusy,
    UsageError,
)
from pipeline.verify import resolving
from pipeline.verify.opening import open_local
from pipeline.verify.resolving import Asked, Match
from pipeline.verify.resolving_index import Index
from registry import releases
from registry.errors import NotFound, RegistryDamaged
from registry.lookup import Lookup
from registry.store import Area
from watermark.payload import as_hex

PICTURES: Final = ("image/png", "image/jpeg", "image/webp")
CLIPS: Final = ("image/gif",)  # and every video/
DAY: Final = "public, max-age=86400"
FOR_PAGES: Final = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST", "Access-Control-Max-Age": "86400",
    "Access-Control-Allow-Headers": "authorization, content-type",
}  # fmt: skip
_ID: Final = re.compile(r"urn:[\x21-\x7e]{1,250}", re.ASCII)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Standard(APIRoute):
    """A route that pages of any origin may ask, and that calls an invalid query 400."""

    def get_route_handler(self) -> Handler:
        """The framework's handler inside of ours."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            request.scope[MORE].update(FOR_PAGES)
            try:
                return await handle(request)
            except RequestValidationError as error:
                first = error.errors()[0]
                named = safe_text(".".join(map(str, first["loc"])), 80)
                raise UsageError(f"{named}: {safe_text(first['msg'], 200)}; mend it and ask again") from None

        return answer


router = APIRouter(tags=["soft bindings"], route_class=Standard)

Known = Annotated[Caller | None, Depends(optional_caller(auth.FETCH_MANIFESTS, auth.VERIFY))]
Results = Annotated[
    int,
    Query(alias="maxResults", ge=1, description=f"manifests in the answer: {shapes.MAX_RESULTS} at most"),
]  # fmt: skip
Algorithm = Annotated[str, Query(description=f"{WATERMARK_ALGORITHM} or {FINGERPRINT_ALGORITHM}")]
OnlyBy = Annotated[str | None, Query(alias="alg", description="only by this algorithm")]
HintBy = Annotated[str | None, Query(alias="hintAlg", description="algorithm of the hint")]
Hint = Annotated[str | None, Query(alias="hintValue", description="a binding that is known otherwise")]
Active = Annotated[
    bool, Query(alias="returnActiveManifest", description="only the active manifest of the store")
]


@router.get("/v1/matches/byBinding", response_model=shapes.MatchesAnswer)
async def get_by_binding(
    request: Request, here: Here, caller: Known, alg: Algorithm,
    value: Annotated[str, Query(description="the value, base64, percent-encoded")],
    most: Results = shapes.DEFAULT_RESULTS,
) -> JSONResponse:  # fmt: skip
    """Manifests of a soft binding. Longer values are posted."""
    if len(value) > shapes.MAX_QUERY_VALUE:
        raise QueryTooLong(f"the value is longer than {shapes.MAX_QUERY_VALUE} characters; post it instead")
    return await _by_binding(request, here, caller, shapes.BindingQuery(alg=alg, value=value), most)


@router.post("/v1/matches/byBinding", response_model=shapes.MatchesAnswer)
async def post_by_binding(
    request: Request, here: Here, caller: Known, query: shapes.BindingQuery,
    most: Results = shapes.DEFAULT_RESULTS,
) -> JSONResponse:  # fmt: skip
    """Manifests of a soft binding, which may be too long for an address."""
    return await _by_binding(request, here, caller, query, most)


@router.post("/v1/matches/byContent", response_model=shapes.MatchesAnswer, openapi_extra=shapes.ASSET)
async def post_by_content(
    request: Request, here: Here, caller: Known, alg: OnlyBy = None, hint_alg: HintBy = None,
    hint: Hint = None, most: Results = shapes.DEFAULT_RESULTS,
) -> JSONResponse:  # fmt: skip
    """Manifests of a clip or a picture, which is the body as it is, not multipart. It is not kept."""
    asked = _asked(alg, hint_alg, hint, most)
    is_picture = _kind(request) in PICTURES
    here.looks.check()
    async with here.uploads.receive_body(request) as file:
        asker = None if caller else here.asker(request)
        found = await here.looks.run(partial(_look, here, file, asked, asker, is_picture=is_picture))
    return _answer(found, caller)


@router.post("/v1/matches/byReference", include_in_schema=False)
async def post_by_reference() -> Response:
    """Not one of this service's capabilities: it never fetches what a request names."""
    raise RouteUnknown("this service fetches nothing; send the file itself to /v1/matches/byContent")


@router.get("/v1/manifests/{manifest_id}", response_class=Response, responses=shapes.MANIFEST)
def get_manifest(manifest_id: str, here: Here, caller: Known, active: Active = False) -> Response:
    """A manifest store, byte by byte as it was signed; also of a release that was withdrawn, whose clips are
    still about and are to be recognised. Its file is not handed out.
    """
    release = releases.find_by_urn(here.app.engine, manifest_id) if _ID.fullmatch(manifest_id) else None
    if release is None:
        raise RouteUnknown("there is no such manifest here; ask /v1/matches/byBinding which there are")
    store = _stored(here, release.manifest_sha256)
    content = only_active(store) if active else store
    return Response(content, media_type=shapes.C2PA, headers={"Cache-Control": DAY})


@router.options("/v1/matches/{kind}", include_in_schema=False)
@router.options("/v1/manifests/{manifest_id}", include_in_schema=False)
def allow() -> Response:
    """What browsers ask before a page of another origin may send a request."""
    return Response(status_code=204, headers=PREFLIGHT)


async def _by_binding(
    request: Request, here: Service, caller: Caller | None, query: shapes.BindingQuery, most: int
) -> JSONResponse:
    most = min(most, shapes.MAX_RESULTS)
    payload, wanted = _value(query.alg, query.value)
    if wanted is None:  # one look-up, which waits for no clip that is looked at
        return _answer(await asyncio.to_thread(_minted, here, payload), caller)
    asker = None if caller else here.asker(request)
    found = await here.looks.run(partial(_search, here, wanted, asker, most))
    return _answer(found, caller)


def _minted(here: Service, payload: int | None) -> Sequence[Match]:
    """The release of exactly this payload: one that we never minted is none's, so its MAC is not asked."""
    release = None if payload is None else releases.find_by_payload(here.app.engine, as_hex(payload))
    return () if release is None else (Match(release_id=release.id, urn=release.urn, distance=None),)


def _value(alg: str, value: str) -> tuple[int | None, Fingerprint | None]:
    """The payload or the fingerprint of a value. Raises: UsageError."""
    content = softbinding.decode_value(value)
    if alg not in softbinding.ALGORITHMS:
        raise UsageError(f"the algorithm is none of {', '.join(softbinding.ALGORITHMS)}; use one of them")
    if content is None:
        raise UsageError("the value is no base64 (with + and /, percent-encoded in an address), or too long")
    if alg == FINGERPRINT_ALGORITHM:
        return None, resolving.query_of(content)
    payload = softbinding.decode_payload(value)
    if payload is None:
        raise UsageError(f"a value of {alg} has {softbinding.PAYLOAD_BYTES} bytes; send those, in base64")
    return payload, None


def _search(here: Service, wanted: Fingerprint, asker: str | None, most: int) -> Sequence[Match]:
    """The releases of a fingerprint's value. Raises: AskedTooOften, TooBusy, RegistryError."""
    digest = hashlib.sha256(wanted.to_bytes()).hexdigest()
    if asker is not None:
        here.near.admit(wanted, file_sha256=digest, asker=asker, now=clock())
    with open_local(here.settings) as verifier:
        if verifier.lookup is None:
            raise TooBusy("the registry cannot be asked now; try again in a moment")
        found = Index.of(here.settings, verifier.lookup).value(wanted, most)
        return _counted(here, verifier.lookup, found, digest, asker)


def _counted(
    here: Service, lookup: Lookup, found: Sequence[Match], digest: str, asker: str | None
) -> Sequence[Match]:  # fmt: skip
    """The matches, if not too many different files of this asker led to the first. Raises: AskedTooOften."""
    release = lookup.find(release_id=found[0].release_id) if found and asker is not None else None
    if release is not None and asker is not None:
        here.near.admit_named(release.payload, file_sha256=digest, asker=asker, now=clock())
    return found


def _asked(alg: str | None, hint_alg: str | None, hint: str | None, most: int) -> Asked:
    """What is wanted of a file. A hint of another algorithm than ours helps nobody here.

    Raises: UsageError.
    """
    if alg is not None and alg not in softbinding.ALGORITHMS:
        raise UsageError(f"the algorithm is none of {', '.join(softbinding.ALGORITHMS)}; use one or leave it")
    if (hint_alg is None) != (hint is None):
        raise UsageError("hintAlg and hintValue come together; send both or none")
    if hint is not None and len(hint) > shapes.MAX_QUERY_VALUE:
        raise QueryTooLong(f"the hint is longer than {shapes.MAX_QUERY_VALUE} characters; leave it away")
    ours = hint_alg in softbinding.ALGORITHMS
    payload, _ = _value(str(hint_alg), hint) if hint is not None and ours else (None, None)
    return Asked(
        most=min(most, shapes.MAX_RESULTS), hint=payload, watermark=alg in (None, WATERMARK_ALGORITHM),
        fingerprint=alg in (None, FINGERPRINT_ALGORITHM),
    )  # fmt: skip


def _kind(request: Request) -> str:
    """The media type of a request. Raises: ContentUnsupported."""
    kind = parse_options_header(request.headers.get("content-type", ""))[0].decode("latin-1").lower()
    if kind not in (*PICTURES, *CLIPS) and not kind.startswith("video/"):
        raise ContentUnsupported(f"send a clip as video/…, or a picture as {', '.join((*PICTURES, *CLIPS))}")
    return kind


def _look(
    here: Service, file: UploadedFile, asked: Asked, asker: str | None, *, is_picture: bool
) -> Sequence[Match]:
    """The releases of an untrusted file. Raises: what reading it does, AskedTooOften, TooBusy."""

    def admit(fingerprint: Fingerprint) -> None:
        if asker is not None:
            here.near.admit(fingerprint, file_sha256=file.sha256, asker=asker, now=clock())

    with open_local(here.settings) as verifier:
        if verifier.lookup is None:
            raise TooBusy("the registry cannot be asked now; try again in a moment")
        search = Index.of(here.settings, verifier.lookup)
        if is_picture:
            found = resolving.by_picture(search, file.path, asked, admit)
        else:
            found = resolving.by_clip(verifier, search, file.path, asked, admit)
        return _counted(here, verifier.lookup, found, file.sha256, asker)


def _answer(found: Sequence[Match], caller: Caller | None) -> JSONResponse:
    """How strong a match is would be, for strangers, a measure of what they must still remove."""
    rows: list[dict[str, Any]] = [{"manifestId": match.urn} for match in found]
    for row, match in zip(rows, found, strict=True):
        if caller is not None and match.score is not None:
            row["similarityScore"] = match.score
    return JSONResponse({"matches": rows})


def _stored(here: Service, sha256: str) -> bytes:
    """A manifest store of ours, whole. Raises: TooBusy, RegistryDamaged."""
    try:
        file = here.app.store.open(Area.MANIFESTS, sha256)
    except NotFound:
        raise TooBusy("the manifest is being put into its place; try again in a moment") from None
    try:
        store = b"".join(iter(lambda: file.read(1 << 20) or b"", b""))
    finally:
        file.close()
    if hashlib.sha256(store).hexdigest() != sha256:
        raise RegistryDamaged(f"The stored manifest {sha256[:16]}… was changed; restore a backup.")
    return store
