"""POST /v1/generations as a form: clips that begin with a picture, or go on with a clip."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.client import Client
from registry.types import JobState

sys.path.append(str(Path(__file__).parents[1] / "unit/generator"))
import tiny_models

WHERE = "/v1/generations"
MODEL = {"schema": "countermark-generator/1", "steps": 2, "width": 96, "height": 64}


def png(seed: int = 3) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(90, 120, (96, 96, 3), np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def drawing(serve: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service whose model of random weights takes pictures and clips."""
    folder = tiny_models.saved("ltx_condition", tmp_path_factory.mktemp("models"))
    (folder / "countermark.json").write_text(json.dumps(MODEL))
    return serve(generator=f"diffusion:{folder}")


@pytest.fixture(scope="module")
def waiting(serve: Any) -> Any:
    """A service that accepts jobs and runs none."""
    return serve(workers=0)


def send(
    served: Any, headers: dict[str, str], image: bytes | None = None, extend: bytes | None = None,
    **fields: Any,
) -> Any:  # fmt: skip
    parts = [("image", ("i.png", image)), ("extend", ("c.mp4", extend))]
    files = [(name, told) for name, told in parts if told[1] is not None]
    return served.client.post(WHERE, files=files, data={"prompt": "a hill"} | fields, headers=headers)


def job_of(served: Any, answer: Any) -> Any:
    return served.service.app.job(answer.json()["id"])


def test_a_release_that_begins_with_a_picture_and_one_that_goes_on(
    drawing: Any, tmp_path: Path, make_clip: Any
) -> None:
    image = tmp_path / "i.png"
    image.write_bytes(png())
    clip = make_clip(tmp_path / "c.mp4", 192, 128, 12, 8, audio=True)
    key = drawing.key()["Authorization"].removeprefix("Bearer ")
    with Client("http://testserver", key, transport=drawing.client._transport) as service:
        orders: list[dict[str, Any]] = [{"image": image}, {"extend": clip, "audio": "strip"}]
        for order in orders:
            job = service.wait(service.create("a hill", seconds=0.5, seed=7, history=["a", "b"], **order), 60)
            assert job.state == "released", job.document
            assert job.document["seed"] == 7
            inputs = drawing.service.app.job(job.id).inputs
            assert (inputs["history"], inputs["seconds"]) == (["a", "b"], 0.5)
            assert set(inputs) & {"image", "extends"} == {"image" if "image" in order else "extends"}
    assert drawing.kept() == []


def test_the_same_key_is_the_same_job_and_the_file_is_kept_for_it(waiting: Any, clip: Path) -> None:
    headers = waiting.key("one") | {"Idempotency-Key": "first"}
    before = waiting.kept()
    first = send(waiting, headers, extend=clip.read_bytes(), audio="hold")
    assert (first.status_code, first.json()["state"]) == (202, "open"), first.text
    [kept] = set(waiting.kept()) - set(before)
    inputs = job_of(waiting, first).inputs
    assert inputs["material"] == [{"source": str(kept), "sha256": inputs["extends"]}]
    assert kept.read_bytes() == clip.read_bytes()
    assert kept in waiting.service.app.awaited_files()
    again = send(waiting, headers, extend=clip.read_bytes(), audio="hold")
    assert again.json()["id"] == first.json()["id"]
    for other in ({"extend": clip.read_bytes(), "seconds": "4"}, {"image": png()}):
        answer = send(waiting, headers, **other)
        assert (answer.status_code, answer.json()["code"]) == (409, "key_reused")
    assert send(waiting, headers, image=clip.read_bytes()).json()["code"] == "usage"
    answer = waiting.client.post(WHERE, json={"prompt": "a hill"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "key_reused")
    assert kept in waiting.kept()
    assert waiting.service.app.job(first.json()["id"]).state is JobState.OPEN


@pytest.mark.parametrize(
    ("sent", "code", "words"),
    [
        ({}, "request_malformed", "exactly one file"),
        ({"image": png(), "extend": png()}, "request_malformed", "exactly one file"),
        ({"image": b""}, "request_malformed", "empty"),
        ({"image": b"GIF89a" + bytes(20)}, "usage", "no PNG, JPEG or WebP picture"),
        ({"extend": png()}, "usage", "give it as the image"),
        ({"image": png(), "audio": "strip"}, "request_malformed", "leave it out"),
        ({"extend": b"x" * 20, "audio": "accept"}, "request_malformed", "audio is one of"),
        ({"image": png(), "seconds": "61"}, "request_malformed", "see errors"),
        ({"image": png(), "seed": "1.5"}, "request_malformed", "see errors"),
        ({"image": png(), "size": "9x9"}, "request_malformed", "there is no field 'size'"),
        ({"image": png(), "prompt": ""}, "request_malformed", "see errors"),
        ({"image": png(), "policy": "marks-only", "region": "XX"}, "usage", "region"),
    ],
)
def test_what_cannot_be_asked(waiting: Any, sent: dict[str, Any], code: str, words: str) -> None:
    before = waiting.kept()
    if sent:
        answer = send(waiting, waiting.key(), **sent)
    else:
        answer = waiting.client.post(WHERE, files={"prompt": (None, "a hill")}, headers=waiting.key())
    assert answer.json()["code"] == code, answer.text
    assert words in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert waiting.kept() == before


def test_who_may_and_how_much(waiting: Any) -> None:
    assert send(waiting, {}, image=png()).status_code == 401
    assert send(waiting, waiting.key("one", "guard"), image=png()).status_code == 403
    answer = send(waiting, waiting.key(), image=png() + bytes(waiting.service.settings.max_upload_bytes))
    assert (answer.status_code, answer.json()["code"]) == (413, "limit_exceeded")
    large = b'{"prompt": "' + b"x" * waiting.service.settings.max_json_bytes + b'"}'
    for kind in ("application/json", "text/plain; a=multipart/form-data", "multipart/mixed; boundary=b"):
        answer = waiting.client.post(
            WHERE, content=large, headers=waiting.key() | {"Content-Type": kind}
        )  # fmt: skip
        assert (answer.status_code, answer.json()["code"]) == (413, "limit_exceeded")


def test_a_full_queue_refuses_before_it_reads(serve: Any) -> None:
    full = serve(workers=0, max_queue_account=1)
    assert send(full, full.key(), image=png()).status_code == 202
    before = full.kept()
    answer = send(full, full.key(), image=png(4))
    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
    assert full.kept() == before


def test_openapi_tells_both_forms(waiting: Any) -> None:
    body = waiting.client.get("/openapi.json").json()["paths"][WHERE]["post"]["requestBody"]["content"]
    assert body["application/json"]["schema"]["$ref"].endswith("/GenerationRequest")
    form = body["multipart/form-data"]["schema"]
    members = waiting.client.get("/openapi.json").json()["components"]["schemas"]["GenerationRequest"]
    assert set(form["properties"]) == {*members["properties"], "image", "extend", "audio"}
