"""The service with its registry in PostgreSQL."""

from pathlib import Path
from typing import Any

from pipeline.credentials.softbinding import FINGERPRINT_ALGORITHM, WATERMARK_ALGORITHM


def test_an_opt_out_and_a_clip(postgres: Any, serve: Any, make_clip: Any, tmp_path: Path) -> None:
    with postgres.make(empty=True) as url:
        served = serve(database_url=url, policy="opt-out")
        headers = served.key("studio")
        opted = served.client.post("/v1/optouts", headers=headers, files={"name": (None, "Zorblax")})
        assert opted.status_code == 201, opted.text
        judged = served.client.post("/v1/moderate/prompt", headers=headers, json={"prompt": "Zorblax runs"})
        assert (judged.status_code, judged.json()["verdict"]) == (200, "block")
        clip = make_clip(tmp_path / "clip.mp4", 480, 272, 24, 12)
        made = served.guard(clip, headers, prompt="a boat", audio="strip")
        assert made.json()["state"] in ("released", "held"), made.text
        assert served.client.get("/healthz").status_code == 200
        served.service.app.engine.dispose()


def test_resolution(postgres: Any, serve: Any) -> None:
    with postgres.make() as url:
        served = serve(database_url=url)
        for told in ("urn:%00", "urn:c2pa:none"):  # PostgreSQL takes no zero in a text
            assert served.client.get(f"/v1/manifests/{told}").status_code == 404
        for alg, value in ((WATERMARK_ALGORITHM, "EAAAAAAAAAE="), (FINGERPRINT_ALGORITHM, "AQEAAA==")):
            answer = served.client.get("/v1/matches/byBinding", params={"alg": alg, "value": value})
            assert answer.json() == {"matches": []}
        served.service.app.engine.dispose()
