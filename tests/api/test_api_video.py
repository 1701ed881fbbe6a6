"""A clip judged without a job: who is in it, by which right, and nothing of it stays."""

import io
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from generator.embedded.world.design import NAMED_DESIGNS
from generator.embedded.world.render import render_clip, render_frame
from generator.embedded.world.scene import Scene, random_scene
from pipeline.client import Client

sys.path.append(str(Path(__file__).parents[1] / "unit/classifiers"))
import tiny_speech

HERO, STRANGER = NAMED_DESIGNS["Tovik Brandle"], NAMED_DESIGNS["Mossa Pondry"]
VIDEO = "/v1/moderate/video"


def drawn(path: Path, design: Any, background: str = "forest") -> Path:
    scene = Scene(action="walking", background=background, size=0.7)
    with av.open(str(path), "w") as out:
        track = out.add_stream("libx264", 5, {"crf": "20"})
        track.width, track.height = 320, 180
        for picture in render_clip(design, scene, width=320, height=180, frames=10, frame_rate=5):
            out.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(track.encode(None))
    return path


def portrait(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    shown = render_frame(HERO, random_scene(rng), width=256, height=256, time=seed / 3).picture
    out = io.BytesIO()
    Image.fromarray(shown).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module", name="strict")
def a_service_where_the_hero_opted_out(serve: Any) -> Any:
    strict = serve(policy="opt-out")
    files = [("references", (f"{seed}.png", portrait(seed))) for seed in range(6)]
    made = strict.client.post(
        "/v1/optouts", data={"name": "Tovik Brandle"}, files=files, headers=strict.key("studio")
    )
    assert made.status_code == 201, made.text
    return strict


def asked(served: Any, clip: Path, headers: dict[str, str] | None = None, **fields: str) -> Any:
    with clip.open("rb") as file:
        return served.client.post(
            VIDEO, files={"clip": (clip.name, file)}, data=fields, headers=headers or served.key("maker")
        )


def kept(served: Any) -> list[Path]:
    """Files that would remain of a clip."""
    home = served.service.settings.home
    folders = (home / "uploads", home / "files")
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_who_is_in_a_clip(strict: Any, tmp_path: Path) -> None:
    before = kept(strict)
    answer = asked(strict, drawn(tmp_path / "hero.mp4", HERO))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    (finding,) = told["findings"]
    assert (told["verdict"], told["policy"]) == ("review", "opt-out")
    assert (finding["check"], finding["name"], finding["owner"]) == ("frames", "Tovik Brandle", "studio")
    assert finding["score"] >= finding["threshold"] > 0
    assert len(finding["times"]) == len(finding["boxes"]) > 0
    assert told["reasons"][0]["evidence"]["subject"] == finding["subject"]
    assert told["checks"]["likeness"] == "completed"
    assert told["checks"]["audio"] == "absent"
    assert "appeal" in told
    assert kept(strict) == before
    jobs = strict.client.get("/v1/generations", headers=strict.key("maker")).json()
    assert jobs["jobs"] == []


def test_a_stranger_passes(strict: Any, tmp_path: Path) -> None:
    clip = drawn(tmp_path / "stranger.mp4", STRANGER, background="room")
    plain = asked(strict, clip).json()
    assert (plain["verdict"], plain["findings"], plain["reasons"]) == ("allow", [], [])
    key = strict.key("maker")["Authorization"].removeprefix("Bearer ")
    with Client("http://testserver", key, transport=strict.client._transport) as service:
        told = service.moderate_video(clip, purpose="personal")
    assert (told.verdict, told.document["findings"]) == ("allow", [])


def test_the_same_verdict_as_a_job(strict: Any, tmp_path: Path) -> None:
    clip, headers = drawn(tmp_path / "hero.mp4", HERO), strict.key("maker")
    told, job = asked(strict, clip, headers).json(), strict.guard(clip, headers).json()
    assert (job["state"], job["verdict"]) == ("held", told["verdict"])
    assert [one["code"] for one in job["reasons"]] == [one["code"] for one in told["reasons"]]


def test_sound_counts_where_it_would_stay(strict: Any, tmp_path: Path, make_clip: Any) -> None:
    clip = make_clip(tmp_path / "tone.mp4", frames=24, fps=24, audio=True)
    held = asked(strict, clip, audio="hold").json()
    assert (held["verdict"], held["reasons"][0]["code"]) == ("review", "audio_not_checked")
    assert asked(strict, clip).json()["checks"]["audio"] == "stripped"
    assert asked(strict, clip, audio="accept").json()["code"] == "request_malformed"


def test_what_is_said_is_looked_through(serve: Any, tmp_path: Path, make_clip: Any) -> None:
    model = tiny_speech.letters(tmp_path / "letters", "Mossa")
    listening = serve(policy="opt-out", speech_model=str(model))
    made = listening.client.post(
        "/v1/optouts", files={"name": (None, "Mossa")}, headers=listening.key("studio")
    )
    assert made.status_code == 201, made.text
    clip = make_clip(tmp_path / "tone.mp4", frames=24, fps=24, audio=True)
    told = asked(listening, clip, audio="hold").json()
    assert (told["verdict"], told["checks"]["audio"]) == ("block", "transcribed")
    reason = told["reasons"][0]
    assert (reason["check"], reason["evidence"]["origin"]) == ("prompt_names", "speech")
    assert asked(listening, clip).json()["verdict"] == "allow"


def test_a_service_without_checks_reads_the_clip_all_the_same(
    served: Any, clip: Path, tmp_path: Path
) -> None:
    assert asked(served, clip).json()["verdict"] == "allow"
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(clip.read_bytes()[:2000])
    answer = asked(served, damaged)
    assert (answer.status_code, answer.json()["code"]) == (422, "media_unreadable")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"policy": "nothing"}, 400, "usage"),
        ({"purpose": "fun"}, 400, "usage"),
        ({"prompt": "a fox"}, 422, "request_malformed"),
    ],
)
def test_bad_questions(served: Any, clip: Path, fields: dict[str, str], status: int, code: str) -> None:
    answer = asked(served, clip, **fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_who_may_ask(served: Any, clip: Path) -> None:
    assert asked(served, clip, {"Authorization": ""}).status_code == 401
    assert asked(served, clip, served.key("maker", "create")).status_code == 403
    answer = served.client.post(VIDEO, json={"clip": "x"}, headers=served.key())
    assert (answer.status_code, answer.json()["code"]) == (415, "content_unsupported")


def test_a_full_pool_says_so_before_the_upload(served: Any, clip: Path) -> None:
    settings = served.service.settings
    places = [served.service.views.reserve() for _ in range(settings.workers + settings.max_queue)]
    try:
        answer = asked(served, clip)
        assert (answer.status_code, answer.json()["code"]) == (503, "too_busy")
        assert "retry-after" in answer.headers
    finally:
        for place in places:
            place.__exit__()


def test_a_large_clip_is_refused_while_it_arrives(served: Any, tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(served.service.settings.max_upload_bytes + 1))
    answer = asked(served, large)
    assert (answer.status_code, answer.json()["code"]) == (413, "limit_exceeded")
