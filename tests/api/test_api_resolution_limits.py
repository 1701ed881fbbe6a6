"""What the Soft Binding Resolution API refuses, and how; what it never does; what it says of itself."""

import base64
import json
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from loopback import listener

from pipeline.api import resolution_shapes as shapes
from pipeline.api.rates import UPLOADS, class_of
from pipeline.credentials.fingerprint import Fingerprint
from pipeline.credentials.softbinding import FINGERPRINT_ALGORITHM, WATERMARK_ALGORITHM, encode_payload
from pipeline.home import Home
from pipeline.verify import similar_releases

BINDING, CONTENT = "/v1/matches/byBinding", "/v1/matches/byContent"
MP4 = {"Content-Type": "video/mp4"}
GOOD = encode_payload(1 << 60)


def value_of(indices: tuple[int, ...], doublings: int = 1, first: int = 7) -> str:
    """A fingerprint's value; hashes follow from ``first``."""
    hashes = tuple((first << 40) + index for index in range(len(indices)))
    made = Fingerprint(doublings=doublings, indices=indices, hashes=hashes)
    return base64.b64encode(made.to_bytes()).decode()


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    ("alg", "value", "more"),
    [
        ("com.example.mark.1", GOOD, {}),
        ("", GOOD, {}),
        (WATERMARK_ALGORITHM, "", {}),
        (WATERMARK_ALGORITHM, "not base64!", {}),
        (WATERMARK_ALGORITHM, "EAAAAAAAAAA", {}),  # no padding
        (WATERMARK_ALGORITHM, "\u00e4\0", {}),
        (WATERMARK_ALGORITHM, base64.b64encode(b"seven b").decode(), {}),
        (FINGERPRINT_ALGORITHM, GOOD, {}),
        (FINGERPRINT_ALGORITHM, value_of((3, 2)), {}),  # not ascending
        (FINGERPRINT_ALGORITHM, value_of((0, 1, 2, 60_000)), {}),  # a grid that takes minutes to compare
        (FINGERPRINT_ALGORITHM, value_of((0, 1, 2, 4000), 24), {}),  # and one that takes all memory
        (WATERMARK_ALGORITHM, GOOD, {"maxResults": "0"}),
        (WATERMARK_ALGORITHM, GOOD, {"maxResults": "-3"}),
        (WATERMARK_ALGORITHM, GOOD, {"maxResults": "ten"}),
        (WATERMARK_ALGORITHM, GOOD, {"maxResults": "9" * 5000}),
    ],
)  # fmt: skip
def test_an_invalid_query_is_400(served: Any, alg: str, value: str, more: dict[str, str]) -> None:
    told = {"alg": alg, "value": value}
    assert code(served.client.get(BINDING, params=told | more)) == (400, "usage")
    assert code(served.client.post(BINDING, json=told, params=more)) == (400, "usage")


def test_what_is_missing_or_no_query_is_400(served: Any) -> None:
    assert code(served.client.get(BINDING, params={"alg": WATERMARK_ALGORITHM})) == (400, "usage")
    for body in (b"", b"{", b"[]", b'{"alg": 1, "value": "x"}', b'{"alg": "x"}', b"\xff", b"[" * 5000):
        answer = served.client.post(BINDING, content=body, headers={"Content-Type": "application/json"})
        assert code(answer) == (400, "usage"), body
    for query in ({"hintAlg": WATERMARK_ALGORITHM}, {"hintValue": GOOD}, {"alg": "com.example.mark.1"},
                  {"hintAlg": WATERMARK_ALGORITHM, "hintValue": "!"}):  # fmt: skip
        answer = served.client.post(CONTENT, content=b"x", params=query, headers=MP4)
        assert code(answer) == (400, "usage"), query


def test_an_unencoded_plus_is_no_base64(served: Any) -> None:
    """A plus in an address is a space: who forgets to encode it is told, not answered about another value."""
    value = base64.b64encode(b"\xfb\xef\xbe\xfb\xef\xbe\xfb\xef").decode()
    assert "+" in value
    told = served.client.get(f"{BINDING}?alg={WATERMARK_ALGORITHM}&value={value}")
    assert code(told) == (400, "usage")
    assert served.client.get(BINDING, params={"alg": WATERMARK_ALGORITHM, "value": value}).json() == {
        "matches": []
    }


def test_long_values_are_posted(served: Any) -> None:
    value = value_of(tuple(range(400)), 0)
    assert len(value) > shapes.MAX_QUERY_VALUE
    told = {"alg": FINGERPRINT_ALGORITHM, "value": value}
    assert code(served.client.get(BINDING, params=told)) == (414, "query_too_long")
    assert served.client.post(BINDING, json=told).json() == {"matches": []}
    told["value"] = base64.b64encode(bytes(20_000)).decode()
    assert code(served.client.post(BINDING, json=told)) == (400, "usage")
    told["value"] = "A" * served.service.settings.max_json_bytes
    assert code(served.client.post(BINDING, json=told)) == (413, "limit_exceeded")


def test_many_results_are_as_many_as_there_may_be(served: Any) -> None:
    told = {"alg": WATERMARK_ALGORITHM, "value": GOOD, "maxResults": 10**18}
    assert served.client.get(BINDING, params=told).json() == {"matches": []}


@pytest.mark.parametrize(
    "kind", ["audio/mpeg", "image/svg+xml", "image/*", "text/plain", "application/pdf", "video", "", "\xff/x"]
)
def test_other_types_are_415(served: Any, kind: str) -> None:
    answer = served.client.post(CONTENT, content=b"x" * 100, headers={"Content-Type": kind.encode("latin-1")})
    assert code(answer) == (415, "content_unsupported")


def test_hostile_bodies(served: Any, tmp_path: Path) -> None:
    assert code(served.client.post(CONTENT, content=b"", headers=MP4)) == (400, "usage")
    assert code(served.client.post(CONTENT, content=b"nothing", headers=MP4)) == (422, "media_unreadable")
    for kind in ("image/png", "image/jpeg", "image/webp"):
        answer = served.client.post(CONTENT, content=b"nothing", headers={"Content-Type": kind})
        assert code(answer) == (422, "picture_refused")
    bomb = struct.pack(">II", 60_000, 60_000)  # a picture that says that it has 3.6 thousand million pixels
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + bomb + b"\x08\x02\0\0\0" + bytes(4)
    answer = served.client.post(CONTENT, content=png, headers={"Content-Type": "image/png"})
    assert code(answer) == (422, "picture_refused")
    large = bytes(served.service.settings.max_upload_bytes + 1)
    assert code(served.client.post(CONTENT, content=large, headers=MP4)) == (413, "limit_exceeded")
    streamed = served.client.post(CONTENT, content=iter([large[: len(large) // 2]] * 3), headers=MP4)
    assert code(streamed) == (413, "limit_exceeded")
    assert [*(served.service.settings.home / "uploads").glob("arriving-*")] == []
    assert class_of("POST", CONTENT) == UPLOADS


@pytest.mark.parametrize(
    "told", ["urn:c2pa:none", "x", "urn:%00", "..%2F..%2Fetc", "urn:" + "x" * 2000, "%FF"]
)
def test_an_unknown_manifest_is_404(served: Any, told: str) -> None:
    assert code(served.client.get(f"/v1/manifests/{told}")) == (404, "route_unknown")


def test_what_a_request_names_is_never_fetched(served: Any) -> None:
    with listener() as (address, knocks):
        asked = {"referenceUrl": f"{address}/clip.mp4", "assetLength": 1000, "assetType": "video/mp4"}
        answer = served.client.post("/v1/matches/byReference", json=asked)
        assert code(answer) == (404, "route_unknown")
        assert "byContent" in answer.json()["detail"]
        play_list = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}/1.ts\n#EXT-X-ENDLIST\n".encode()
        for body, kind in (
            (play_list, "video/mp4"), (play_list, "video/x-mpegurl"), (play_list, "image/png"),
            (f"<svg xmlns='http://www.w3.org/2000/svg'><image href='{address}'/></svg>".encode(), "video/x"),
            (f"ffconcat version 1.0\nfile '{address}/1.mp4'\n".encode(), "video/mp4"),
        ):  # fmt: skip
            assert (
                served.client.post(CONTENT, content=body, headers={"Content-Type": kind}).status_code == 422
            )
        told = {"alg": WATERMARK_ALGORITHM, "value": base64.b64encode(address.encode()).decode()}
        assert served.client.post(BINDING, json=told).status_code == 400
        assert served.client.get(f"/v1/manifests/{address.replace('/', '%2F')}").status_code == 404
        assert knocks == []
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))):
            pass
    assert knocks  # the listener does hear who connects


def test_strangers_may_not_feel_their_way(serve: Any) -> None:
    """Near-duplicates of a question are counted, for who has no key: by value, and by content."""
    near = serve(near_queries=1, near_queries_all=100)
    told = [
        {"alg": FINGERPRINT_ALGORITHM, "value": value_of(tuple(range(8)), first=first)} for first in (7, 6)
    ]
    for _ in range(2):  # the same again is no new question
        assert near.client.post(BINDING, json=told[0]).status_code == 200
    assert code(near.client.post(BINDING, json=told[1])) == (429, "asked_too_often")
    assert near.client.post(BINDING, json=told[1], headers=near.key("partner", "verify")).status_code == 200


def test_keys(served: Any) -> None:
    told = {"alg": WATERMARK_ALGORITHM, "value": GOOD}
    for path in (BINDING, "/v1/manifests/urn:c2pa:none"):
        assert served.client.get(path, params=told, headers=served.key("m", "create")).status_code == 403
        assert served.client.get(path, params=told, headers={"Authorization": "Bearer x"}).status_code == 401


def test_pages_of_any_origin_may_ask(served: Any) -> None:
    told = {"alg": WATERMARK_ALGORITHM, "value": GOOD}
    for answer in (
        served.client.get(BINDING, params=told), served.client.get(BINDING),
        served.client.get("/v1/manifests/urn:c2pa:none"),
        served.client.post(BINDING, content=b"x" * (served.service.settings.max_json_bytes + 1)),
    ):  # fmt: skip
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert "access-control-allow-credentials" not in answer.headers
    for path in (BINDING, CONTENT, "/v1/manifests/urn:c2pa:none"):
        allowed = served.client.options(path)
        assert (allowed.status_code, allowed.content) == (204, b"")
        assert "content-type" in allowed.headers["access-control-allow-headers"]
    verify = served.client.post("/v1/verify", files={"file": ("a", b"x")})
    assert "access-control-allow-origin" not in verify.headers


def test_what_the_service_says_of_itself(served: Any) -> None:
    def told(path: str) -> Any:
        answer = served.client.get(path)
        assert answer.status_code == 200
        return answer.json()

    assert told("/v1/services/supportedAlgorithms") == {
        "watermarks": [{"alg": WATERMARK_ALGORITHM}], "fingerprints": [{"alg": FINGERPRINT_ALGORITHM}]
    }  # fmt: skip
    found = told("/.well-known/c2pa-soft-binding-resolution")
    assert found["apiEndpoint"] == "/v1"
    capable = told(found["capabilitiesEndpoint"])
    assert capable == {"c2paSpecificationVersion": "2.4.0", "supportedCapabilities": ["queryByContent"]}
    assert found["c2paSpecificationVersion"] == capable["c2paSpecificationVersion"]
    assert served.service.indexed.wait(20)
    status = told(found["statusEndpoint"])
    assert status["status"] == "ok"
    assert json.dumps(status["timestamp"]).endswith('Z"')
    served.service.stopping.set()
    try:
        assert told("/v1/services/status")["status"] == "degraded"
    finally:
        served.service.stopping.clear()


def test_an_index_that_is_behind_is_no_ok(served: Any) -> None:
    """The service itself catches up from its start on, and says so until it has."""
    service = served.service
    kept = similar_releases._kept(service.settings.database, Home(service.settings.home).similar)

    def status() -> str:
        return str(served.client.get("/v1/services/status").json()["status"])

    assert service.indexed.wait(20)
    assert status() == "ok"
    with kept._lock:  # as while it reads many
        assert not service.follow_index()
        assert status() == "degraded"
    assert service.follow_index()
    assert status() == "ok"


def test_a_payload_is_looked_up_while_clips_are_looked_at(served: Any) -> None:
    """The pool for clips is full: only what needs it is refused."""
    settings = served.service.settings
    places = [served.service.looks.reserve() for _ in range(settings.workers + settings.max_queue)]
    try:
        told = {"alg": WATERMARK_ALGORITHM, "value": GOOD}
        assert served.client.get(BINDING, params=told).json() == {"matches": []}
        assert code(served.client.post(CONTENT, content=b"x", headers=MP4)) == (503, "too_busy")
        told = {"alg": FINGERPRINT_ALGORITHM, "value": value_of((0, 1, 2, 3))}
        assert code(served.client.get(BINDING, params=told)) == (503, "too_busy")
    finally:
        for place in places:
            place.__exit__()
