"""The Soft Binding Resolution API: others find our manifests, by a binding, a clip or a picture."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from pipeline.cli import samples
from pipeline.client import Client
from pipeline.credentials.fingerprint import Fingerprint
from pipeline.credentials.softbinding import FINGERPRINT_ALGORITHM, WATERMARK_ALGORITHM, encode_payload
from pipeline.credentials.store_boxes import active_label
from pipeline.media.reader import open_clip
from pipeline.media.types import MediaLimits
from pipeline.media.writer import ClipWriter
from pipeline.verify import resolving
from pipeline.verify.opening import open_local
from pipeline.verify.resolving import Asked, Match, stored_print
from registry import releases
from registry.store import Area

LIMITS = MediaLimits()
BINDING, CONTENT = "/v1/matches/byBinding", "/v1/matches/byContent"
UNKNOWN = encode_payload(0x1FFF_FFFF_FFFF_FFFF)  # no payload that was ever minted: its MAC is wrong


@dataclass(frozen=True)
class Out:
    """A release: its row, its file, and the fingerprint as a value."""

    row: Any
    file: Path

    @property
    def fingerprint(self) -> str:
        return base64.b64encode(stored_print(self.row.fingerprint).to_bytes()).decode()

    @property
    def payload(self) -> str:
        return encode_payload(int(self.row.payload, 16))


class Alike:
    """A search that finds this release, and another, for whatever is asked."""

    def __init__(self, row: Any) -> None:
        self.found = [Match(release_id=name, urn=name, distance=0.1) for name in (row.id, "another")]

    def clip(self, _observation: Any, _most: int) -> list[Match]:
        return self.found

    def value(self, _query: Any, _most: int) -> list[Match]:
        return self.found

    def picture(self, _luma: Any, _most: int) -> list[Match]:
        return self.found


@pytest.fixture(scope="module", name="out")
def a_release(served: Any, clip: Path) -> Out:
    job = served.guard(clip, served.key("maker")).json()
    assert job["state"] == "released", job
    row = releases.get(served.service.app.engine, job["release"]["id"])
    assert row is not None
    return Out(row=row, file=served.service.app.store.find(Area.RELEASED, row.file_sha256))


@pytest.fixture(scope="module", name="copy")
def without_its_credential(out: Out, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release as platforms make it: encoded again, its metadata gone."""
    return rewritten(out.file, tmp_path_factory.mktemp("copy") / "copy.mp4", crf=26)


def rewritten(source: Path, target: Path, crf: float, **other: Path) -> Path:
    """The clip encoded again; with `host` and `plain`, what `source` has more than `plain` put on `host`."""
    with open_clip(source, limits=LIMITS) as clip, ClipWriter(target, clip.info, crf=crf) as writer:
        pairs = _beside(other["host"], other["plain"]) if other else None
        for frame in clip.frames():
            host, plain = next(pairs) if pairs else (None, None)
            planes = {name: _moved(*(getattr(one, name) for one in (host, frame, plain))) for name in "yuv"
                      } if host else {}  # fmt: skip
            writer.write(replace(frame, **planes))
    return target


def _beside(host: Path, plain: Path) -> Iterator[Any]:
    with open_clip(host, limits=LIMITS) as one, open_clip(plain, limits=LIMITS) as other:
        yield from zip(one.frames(), other.frames(), strict=True)


def _moved(host: Any, marked: Any, plain: Any) -> Any:
    moved = host.astype(np.int16) + np.clip(marked.astype(np.int16) - plain, -8, 8)
    return np.clip(moved, 0, 255).astype(np.uint8)


def asked(served: Any, path: str, **given: Any) -> list[dict[str, Any]]:
    """The matches of a question that is answered."""
    answer = served.client.request("POST" if "content" in given or "json" in given else "GET", path, **given)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["matches"]
    return found


def by_content(served: Any, file: Path, kind: str = "video/mp4", **given: Any) -> list[dict[str, Any]]:
    headers = {"Content-Type": kind} | given.pop("headers", {})
    return asked(served, CONTENT, content=file.read_bytes(), headers=headers, **given)


def picture(path: Path, at: float, end: str = ".png") -> Path:
    """A frame of a clip as a picture."""
    with open_clip(path, limits=LIMITS) as clip:
        frame = next(one for one in clip.frames() if one.time >= at)
    cv2.imwrite(str(path.with_suffix(end)), frame.y)
    return path.with_suffix(end)


def test_by_the_watermarks_value(served: Any, out: Out) -> None:
    wanted = [{"manifestId": out.row.urn}]
    assert asked(served, BINDING, params={"alg": WATERMARK_ALGORITHM, "value": out.payload}) == wanted
    assert asked(served, BINDING, json={"alg": WATERMARK_ALGORITHM, "value": out.payload}) == wanted
    assert asked(served, BINDING, params={"alg": WATERMARK_ALGORITHM, "value": UNKNOWN}) == []


def test_by_the_fingerprints_value(served: Any, out: Out) -> None:
    question = {"alg": FINGERPRINT_ALGORITHM, "value": out.fingerprint}
    assert asked(served, BINDING, params=question) == [{"manifestId": out.row.urn}]
    for scope in ("verify", "fetch:manifests"):
        [match] = asked(served, BINDING, json=question, headers=served.key("partner", scope))
        assert match == {"manifestId": out.row.urn, "similarityScore": 100}


def test_the_values_in_a_manifest_lead_to_it(served: Any, out: Out) -> None:
    """A client asks by what the manifest itself says, and gets the bytes that were signed."""
    answer = served.client.get(f"/v1/manifests/{quote(out.row.urn, safe='')}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/c2pa")
    stored = served.service.app.store.find(Area.MANIFESTS, out.row.manifest_sha256).read_bytes()
    assert answer.content == stored
    assert active_label(answer.content) == out.row.urn
    for value, alg in ((out.payload, WATERMARK_ALGORITHM), (out.fingerprint, FINGERPRINT_ALGORITHM)):
        assert value.encode() in answer.content
        assert alg.encode() in answer.content
    only = served.client.get(f"/v1/manifests/{out.row.urn}", params={"returnActiveManifest": "true"})
    assert only.content == stored  # there is no other in it
    assert out.file.read_bytes().count(stored) == 1  # as it stands in the released file


def test_by_a_clip_that_lost_its_credential(served: Any, out: Out, copy: Path) -> None:
    wanted = [{"manifestId": out.row.urn}]
    assert by_content(served, copy, params={"alg": WATERMARK_ALGORITHM}) == wanted
    assert by_content(served, copy, params={"alg": FINGERPRINT_ALGORITHM}) == wanted
    [scored] = by_content(served, copy, headers=served.key("partner", "fetch:manifests"))
    assert scored["manifestId"] == out.row.urn
    assert 80 < scored["similarityScore"] <= 100


def test_a_mark_on_other_pictures_is_no_match(
    served: Any, out: Out, clip: Path, tmp_path: Path, make_clip: Any
) -> None:
    host = make_clip(tmp_path / "host.mp4", 480, 272, 36, fps=12, seed=9)
    forged = rewritten(out.file, tmp_path / "forged.mp4", crf=14, host=host, plain=clip)
    report = served.client.post("/v1/verify", files={"file": ("f.mp4", forged.read_bytes())}).json()
    assert report["evidence"]["hidden_mark"]["payload"] == out.row.payload  # it is read
    with open_local(served.service.settings) as verifier:
        found = resolving.by_clip(verifier, Alike(out.row), forged, Asked(most=10), lambda _print: None)
    assert found == ()  # neither the release that the moved mark leads to, nor what looks like that


def test_other_clips_lead_nowhere(served: Any, out: Out, tmp_path: Path, make_clip: Any) -> None:
    other = make_clip(tmp_path / "other.mp4", 96, 64, 16, fps=8, seed=5)
    assert by_content(served, other) == []
    # A hint is believed as far as the pictures agree with it.
    hint = {"hintAlg": WATERMARK_ALGORITHM, "hintValue": out.payload, "alg": FINGERPRINT_ALGORITHM}
    assert by_content(served, other, params=hint) == []
    assert by_content(served, other, params=hint | {"hintAlg": "com.example.mark.1"}) == []


def test_by_a_picture(served: Any, out: Out, copy: Path, tmp_path: Path, make_clip: Any) -> None:
    wanted = [{"manifestId": out.row.urn}]
    assert by_content(served, picture(copy, 1.0), "image/png") == wanted
    assert by_content(served, picture(copy, 2.0, ".jpg"), "image/jpeg") == wanted
    other = make_clip(tmp_path / "other.mp4", 96, 64, 16, fps=8, seed=5)
    assert by_content(served, picture(other, 1.0), "image/png") == []
    assert by_content(served, picture(copy, 1.0), "image/png", params={"alg": WATERMARK_ALGORITHM}) == []


def test_a_withdrawn_release_is_still_recognised(served: Any, out: Out) -> None:
    release, place = out.row, f"/v1/manifests/{out.row.urn}"
    before = served.client.get(place).content
    served.service.app.withdraw(release.id, "a mistake")
    try:
        assert served.client.get(f"/v1/releases/{release.id}/file").status_code == 410
        found = asked(served, BINDING, params={"alg": WATERMARK_ALGORITHM, "value": out.payload})
        assert found == [{"manifestId": release.urn}]
        assert served.client.get(place).content == before != b""
    finally:
        served.service.app.reinstate(release.id, "a mistake of its own")


def test_the_client(served: Any, out: Out, copy: Path) -> None:
    key = served.key("partner", "fetch:manifests")["Authorization"].removeprefix("Bearer ")
    with Client("http://testserver", key, transport=served.client._transport) as service:
        [match] = service.resolve(copy)
        assert match.manifest == out.row.urn
        assert match.score is not None
        value = base64.b64decode(out.payload)
        [exact] = service.resolve_binding(WATERMARK_ALGORITHM, value)
        assert (exact.manifest, exact.score) == (out.row.urn, None)
        assert active_label(service.manifest(match.manifest)) == out.row.urn


def test_samples_ask_by_every_binding_before_they_write_it_down(served: Any, out: Out) -> None:
    settings, wanted = served.service.settings, [out.row.urn]
    told = [
        {"alg": WATERMARK_ALGORITHM, "value": out.payload, "matches": wanted},
        {"alg": FINGERPRINT_ALGORITHM, "value": out.fingerprint, "matches": wanted},
        {"alg": WATERMARK_ALGORITHM, "value": UNKNOWN, "matches": []},
    ]
    assert samples._wrong(settings, [], told) == 0
    for one in told:
        assert samples._wrong(settings, [], [one | {"matches": ["urn:c2pa:another"]}]) == 1


def test_strangers_may_not_feel_their_way_behind_other_beginnings(served: Any, out: Out) -> None:
    """The first eight seconds are theirs to choose; where the answer leads is not."""
    stored, limit = stored_print(out.row.fingerprint), served.service.settings.near_queries
    stranger = TestClient(served.client.app, client=("192.0.2.9", 5))

    def ask(number: int) -> int:
        words = np.random.default_rng(number).integers(0, 1 << 63, 3)
        value = Fingerprint(
            doublings=stored.doublings, indices=(0, 2, 4, *(index + 40 for index in stored.indices)),
            hashes=(*map(int, words), *stored.hashes),
        )  # fmt: skip
        told = {"alg": FINGERPRINT_ALGORITHM, "value": base64.b64encode(value.to_bytes()).decode()}
        answer = stranger.post(BINDING, json=told)
        if answer.status_code == 200:
            assert answer.json()["matches"] == [{"manifestId": out.row.urn}]
        return answer.status_code

    assert [ask(number) for number in range(limit + 1)] == [200] * limit + [429]
    headers = {"Content-Type": "video/mp4"}
    for path, given in (
        (CONTENT, {"content": out.file.read_bytes(), "headers": headers}),
        ("/v1/verify", {"files": {"file": ("c.mp4", out.file.read_bytes())}}),
    ):  # fmt: skip
        answer = stranger.post(path, **given)
        assert (answer.status_code, answer.json()["code"]) == (429, "asked_too_often")
