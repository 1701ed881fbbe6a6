"""The service with its files in a bucket: what it serves, and its jobs while the bucket is away."""

import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.main import app as command_line
from registry.store import Area


def ended(served: Any, job: str, headers: dict[str, str]) -> Any:
    """The job's document, once it has ended."""
    until = time.monotonic() + 200
    while time.monotonic() < until:
        told = served.client.get(f"/v1/generations/{job}", headers=headers).json()
        if told["state"] != "open":
            return told
        time.sleep(0.2)
    raise AssertionError(told)


def test_released_files_come_from_the_bucket(
    serve: Any, bucket: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served = serve(files_url=bucket)
    headers = served.key()
    release = ended(served, served.guard(clip, headers).json()["id"], headers)["release"]
    store, home = served.service.app.store, served.service.settings.home
    assert (store.digests(Area.HELD), store.digests(Area.RELEASED)) == ([], [release["sha256"]])
    for area in (Area.HELD, Area.RELEASED, Area.MANIFESTS):
        assert not [path for path in (home / "files" / area).rglob("*") if path.is_file()]
    whole = served.client.get(release["file"])
    store.find(Area.RELEASED, release["sha256"]).unlink()  # the copy that this machine has
    assert served.client.get(release["file"]).content == whole.content
    part = served.client.get(release["file"], headers={"Range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, whole.content[100:300])
    out = tmp_path / "out.mp4"
    told = f'policy = "marks-only"\npreset = "ultrafast"\nfiles_url = "{bucket}"\n'
    (home / "settings.toml").write_text(told)
    with pytest.raises(SystemExit) as left:
        command_line(["guard", str(clip), "-o", str(out), "--home", str(home)])
    assert left.value.code == 0, capsys.readouterr().err
    assert out.stat().st_size > 10_000


def test_a_bucket_that_is_away_holds_nothing_back_for_good(
    serve: Any, bucket: str, bucket_server: Any, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job waits as it is, nothing is released, the service says so; then the job goes on."""
    monkeypatch.setattr("pipeline.runner.RETRY_SECONDS", 2.0)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    served = serve(files_url=bucket)
    headers = served.key()
    released = ended(served, served.guard(clip, headers).json()["id"], headers)["release"]
    bucket_server.stop()
    try:
        job = served.guard(clip, headers | {"Prefer": "wait=0"}, prompt="another order").json()
        while job["id"] not in served.service.runner._later:  # it was tried, and left for later
            time.sleep(0.1)
        told = served.client.get(f"/v1/generations/{job['id']}", headers=headers).json()
        assert (told["state"], told["release"]) == ("open", None)
        away = served.client.get("/readyz")
        assert (away.status_code, "cannot be reached" in away.json()["parts"]["files"]) == (503, True)
        answer = served.client.get(released["file"])
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_away")
        assert answer.headers["retry-after"]
    finally:
        bucket_server.start()
    served.service.resume_soon()
    assert ended(served, job["id"], headers)["state"] == "released"
    assert len(served.service.app.store.digests(Area.RELEASED)) == 2
    assert served.client.get("/readyz").status_code == 200
