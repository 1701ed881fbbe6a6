"""Lists by pages, files by parts, and what OpenAPI shows by example."""

from pathlib import Path
from typing import Any

from pipeline.api import asked, shapes, shapes_admin, shapes_rules


def test_jobs_by_pages(served: Any, make_clip: Any, tmp_path: Path) -> None:
    headers = served.key("lister")
    made = [
        served.guard(make_clip(tmp_path / f"{n}.mp4", 320, 180, 24, fps=12, seed=n), headers).json()["id"]
        for n in range(2)
    ]
    page = served.client.get("/v1/generations?limit=1", headers=headers).json()
    shapes.JobsAnswer.model_validate(page)
    rest = served.client.get("/v1/generations", params={"after": page["after"]}, headers=headers).json()
    assert [one["id"] for one in (*page["jobs"], *rest["jobs"])] == made
    assert rest["after"] is None
    assert served.client.get("/v1/generations", headers=served.key("nobody")).json()["jobs"] == []
    assert served.client.get("/v1/generations").status_code == 401


def test_optouts_by_pages(served: Any) -> None:
    headers = served.key("Pages Example")
    for name in ("Ombrellix", "Tarquandor"):
        answer = served.client.post("/v1/optouts", files=[("name", (None, name))], headers=headers)
        assert answer.status_code == 201, answer.text
    page = served.client.get("/v1/optouts?limit=1", headers=headers).json()
    shapes.OptOutsAnswer.model_validate(page)
    rest = served.client.get("/v1/optouts", params={"after": page["after"]}, headers=headers).json()
    assert [one["name"] for one in (*page["optouts"], *rest["optouts"])] == ["Ombrellix", "Tarquandor"]
    assert served.client.get("/v1/optouts", headers=served.key("else")).json()["optouts"] == []


def test_a_part_of_another_file_is_not_gone_on_with(served: Any, clip: Path) -> None:
    job = served.guard(clip, served.key("ranges")).json()
    whole = served.client.get(job["release"]["file"])
    tag = whole.headers["etag"]
    part = {"Range": "bytes=10-19"}
    same = served.client.get(job["release"]["file"], headers=part | {"If-Range": tag})
    assert (same.status_code, same.content) == (206, whole.content[10:20])
    other = served.client.get(job["release"]["file"], headers=part | {"If-Range": '"0"'})
    assert (other.status_code, other.content) == (200, whole.content)


def test_requests_have_examples_that_are_valid(served: Any) -> None:
    schemas = served.client.get("/openapi.json").json()["components"]["schemas"]
    shown = {name: one for name, one in schemas.items() if name.endswith("Request")}
    bodies = {name: one for part in (asked, shapes_admin, shapes_rules) for name, one in vars(part).items()}
    assert len(shown) == 10
    for name, one in shown.items():
        for example in one["examples"]:
            bodies[name].model_validate(example)
