"""Finding manifests with `pipeline.client`: the calls of the C2PA Soft Binding Resolution API."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx2

from pipeline.client_wire import Json, Wire

TYPES: Final = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
    ".gif": "image/gif",
}  # fmt: skip
"""Media types of pictures by the ends of their names; everything else is sent as a clip."""
CLIP: Final = "video/mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestMatch:
    """A manifest that may belong to what was asked about: validate it against the file.

    ``score``: strength from 0 to 100, None where the service does not tell it.
    """

    manifest: str
    score: int | None


class ResolutionCalls(Wire):
    """None of these needs a key; with one for ``fetch:manifests`` or ``verify``, scores are told."""

    def resolve(self, file: Path, *, most: int = 10) -> tuple[ManifestMatch, ...]:
        """The manifests of a clip or a picture, the likeliest first. Raises: Problem, OSError."""
        kind = TYPES.get(file.suffix.lower(), CLIP)

        def send() -> httpx2.Response:
            with file.open("rb") as body:
                return self._http.post(
                    "/v1/matches/byContent", content=body, params={"maxResults": str(most)},
                    headers={"Content-Type": kind},
                )  # fmt: skip

        return _matches(self._tried(send).json())

    def resolve_binding(self, alg: str, value: bytes, *, most: int = 10) -> tuple[ManifestMatch, ...]:
        """The manifests of a soft binding's value. Raises: Problem."""
        asked = {"alg": alg, "value": base64.b64encode(value).decode()}
        found = self._send("POST", "/v1/matches/byBinding", json=asked, params={"maxResults": str(most)})
        return _matches(found.json())

    def manifest(self, manifest: str) -> bytes:
        """A manifest store as it was signed. Raises: Problem (404: there is none here)."""
        return self._send("GET", f"/v1/manifests/{quote(manifest, safe='')}").content


def _matches(told: Json) -> tuple[ManifestMatch, ...]:
    return tuple(
        ManifestMatch(manifest=one["manifestId"], score=one.get("similarityScore")) for one in told["matches"]
    )
