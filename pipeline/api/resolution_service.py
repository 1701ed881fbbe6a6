"""What the Soft Binding Resolution API says of itself: algorithms, capabilities, status, where it is."""

from typing import Final

from fastapi import APIRouter
from starlette.responses import JSONResponse

from pipeline.api import resolution_shapes as shapes
from pipeline.api.resolution import Standard
from pipeline.api.standing import READY, troubles
from pipeline.api.state import Here
from pipeline.clock import clock
from pipeline.credentials.softbinding import FINGERPRINT_ALGORITHM, WATERMARK_ALGORITHM

BASE: Final = "/v1"
CAPABILITIES: Final = ("queryByContent",)
"""Of queryByContent, queryByReference, storeManifests, storeBindings: those that there are."""

router = APIRouter(tags=["soft bindings"], route_class=Standard)


@router.get("/v1/services/supportedAlgorithms", response_model=shapes.AlgorithmsAnswer)
async def get_algorithms() -> JSONResponse:
    """The soft binding algorithms that may be asked by."""
    return JSONResponse(
        {"watermarks": [{"alg": WATERMARK_ALGORITHM}], "fingerprints": [{"alg": FINGERPRINT_ALGORITHM}]}
    )


@router.get("/v1/services/capabilities", response_model=shapes.CapabilitiesAnswer)
async def get_capabilities() -> JSONResponse:
    """Which optional routes of the standard there are."""
    told = {"c2paSpecificationVersion": shapes.VERSION, "supportedCapabilities": [*CAPABILITIES]}
    return JSONResponse(told)


@router.get("/v1/services/status", response_model=shapes.StatusAnswer)
def get_status(here: Here) -> JSONResponse:
    """Whether manifests can be found, by content too, and fetched now. It takes no models and no disk.

    ``degraded`` also until the index by content has caught up with the registry.
    """
    found = troubles(here)
    parts = {name: found[name] == READY for name in ("process", "registry", "files")}
    found_all = all(parts.values()) and here.indexed.is_set()
    status = "ok" if found_all else "degraded" if parts["registry"] else "down"
    return JSONResponse({"status": status, "timestamp": clock()})


@router.get("/.well-known/c2pa-soft-binding-resolution", response_model=shapes.DiscoveryAnswer)
async def get_discovery() -> JSONResponse:
    """Where the API is (RFC 8615), relative to this host: what a request says of that proves nothing."""
    return JSONResponse(
        {
            "apiEndpoint": BASE, "c2paSpecificationVersion": shapes.VERSION,
            "capabilitiesEndpoint": f"{BASE}/services/capabilities",
            "statusEndpoint": f"{BASE}/services/status",
        }
    )  # fmt: skip
