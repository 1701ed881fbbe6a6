"""`countermark samples`: what it writes is what a client of the service finds."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipeline.api.service import make_service
from pipeline.settings import load


@pytest.mark.soak
def test_every_expected_answer_is_given(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    made = run("samples", "--out", out, as_json=False)
    assert made.status == 0, made.words
    expected = json.loads((out / "expected.json").read_text())
    assert (len(expected["manifests"]), len(expected["byContent"]), len(expected["byBinding"])) == (3, 9, 7)
    with TestClient(make_service(load(out / "home")), raise_server_exceptions=False) as client:
        for one in expected["byContent"]:
            content, headers = (out / one["file"]).read_bytes(), {"Content-Type": one["type"]}
            found = client.post("/v1/matches/byContent", content=content, headers=headers).json()
            assert [match["manifestId"] for match in found["matches"]] == one["matches"], one
        for one in expected["byBinding"]:
            found = client.post(
                "/v1/matches/byBinding", json={"alg": one["alg"], "value": one["value"]}
            ).json()
            assert [match["manifestId"] for match in found["matches"]] == one["matches"], one
        for one in expected["manifests"]:
            store = client.get(f"/v1/manifests/{one['manifestId']}").content
            assert (len(store), hashlib.sha256(store).hexdigest()) == (one["bytes"], one["sha256"])
            assert client.get(one["file"]).status_code == one["file_status"]
        for one in expected["refused"]:
            headers = {"Content-Type": one["type"]} if "type" in one else {}
            answer = client.request(one["method"], one["path"], content=one.get("body"), headers=headers)
            assert answer.status_code == one["status"], one


def test_a_folder_that_is_something_else_is_left_alone(run: Any, tmp_path: Path) -> None:
    kept = tmp_path / "mine.txt"
    kept.write_text("mine")
    refused = run("samples", "--out", tmp_path, as_json=False)
    assert (refused.status, kept.read_text()) == (2, "mine")
    assert "not an earlier run" in refused.words
