"""Guards against false positives on the command line: trying, quarantine, more of an opt-out, simulation."""

import sqlite3
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import random_scene

DRAWN = ("--generator", "scene", "--seconds", "2", "--seed", "1", "--size", "480x272")


def rows(home: Path) -> dict[str, int]:
    """How many rows each table has."""
    with sqlite3.connect(home / "registry.db") as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def picture(path: Path, rgb: Any) -> Path:
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return path


def character(path: Path, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    return picture(
        path, render_frame(random_design(rng), random_scene(rng), width=240, height=200, time=0.0).picture
    )


def test_an_opt_out_is_tried_and_nothing_is_written(run: Any, home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    assert run("create", "Hollowmere Tix sings", "-o", out, *DRAWN).status == 0
    known = run("optout", "add", "Zorblax", "--owner", "A", "--picture", character(tmp_path / "a.png", 1))
    assert known.status == 0, known.words
    before = rows(home)
    tried = run(
        "optout", "try", "Hollowmere Tix", "--owner", "B", "--alias", "Zorblax", "--clip", out,
        "--picture", tmp_path / "a.png", "--prompt", "Hollowmere Tix sings", "--prompt", "a quiet lake",
    )  # fmt: skip
    assert tried.status == 0, tried.words
    assert rows(home) == before
    told = tried.document
    assert [(one["text"], one["tier"], one["hits"]) for one in told["names"]] == [
        ("Hollowmere Tix", "unambiguous", 0), ("Zorblax", "unambiguous", 0),
    ]  # fmt: skip
    assert [(one["now"], one["with_it"]) for one in told["prompts"]] == [
        ("allow", "block"),
        ("allow", "allow"),
    ]
    assert told["prompts"][0]["reasons"][0]["code"] == "name_match"
    assert [one["now"] for one in told["clips"]] == ["allow"]
    assert (told["past"]["compared"], told["past"]["withdrawn"]) == (1, 1)
    assert {one["what"] for one in told["alike"]} == {"name", "picture"}
    assert "Nothing was registered" in tried.words
    assert run("gate", "Hollowmere Tix sings").document["verdict"] == "allow"
    added = run("optout", "add", "Hollowmere Tix", "--owner", "B")  # the trial told the truth
    assert added.status == 0
    assert run("gate", "Hollowmere Tix sings").document["verdict"] == "block"
    assert run("retroscan").document["recalled"] == []  # `optout add` has looked back already


def test_what_would_be_refused_is_told(run: Any, home: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    tried = run("optout", "try", "Golden Retriever", "--alias", "Zorblax")
    assert (tried.status, [one["tier"] for one in tried.document["names"]]) == (1, ["refused", "unambiguous"])
    assert "A golden retriever runs" in tried.document["refused"]
    blank = run("optout", "try", "Zorblax", "--picture", picture(tmp_path / "blank.png", noise))
    assert (blank.status, blank.document["names"][0]["tier"]) == (1, "unambiguous")
    assert "shows nothing" in blank.document["refused"]
    assert run("optout", "list").document == []


def test_quarantine_extension_and_simulation(run: Any, home: Path, tmp_path: Path) -> None:
    pictures = [character(tmp_path / f"{seed}.png", seed) for seed in (1, 2)]
    made = run("optout", "add", "Hollow Quandle", "--picture", pictures[0])
    subject = made.document["id"]
    assert made.document["names"][0]["tier"] == "unambiguous"
    more = run("optout", "extend", subject, "--negative", pictures[1], "--alias", "Quandlekin")
    assert (more.status, more.document["new"]) == (0, True), more.words
    shown = run("optout", "show", subject).document
    assert [one["negative"] for one in shown["pictures"]] == [False, True]
    assert [one["text"] for one in shown["names"]] == ["Hollow Quandle", "Quandlekin"]
    assert run("optout", "extend", subject).status == 2

    refused = run("create", "Quandlekin sings", "-o", tmp_path / "no.mp4", *DRAWN)
    assert refused.status == 1
    [found] = run("reference", "list").document["found_often"]
    assert (found["item"], found["hits"], found["over_limits"]) == ("quandlekin", 1, False)

    assert run("reference", "quarantine", subject, "--name", "Quandlekin", "--why", "a dance").status == 0
    judged = run("gate", "Quandlekin sings").document
    assert (judged["verdict"], judged["reasons"][0]["quarantined"]) == ("review", True)
    assert run("gate", "Hollow Quandle sings").document["verdict"] == "block"
    [held] = run("optout", "show", subject).document["quarantined"]
    assert (held["kind"], held["cause"], held["why"]) == ("name", "operator", "a dance")
    digest = shown["pictures"][0]["sha256"]
    assert run("reference", "quarantine", subject, "--picture", digest[:10]).document["item"] == digest
    assert len(run("reference", "list", subject).document["quarantined"]) == 2
    assert run("reference", "quarantine", subject).status == 2
    assert run("reference", "release", subject, "--words").status == 3

    assert run("reference", "release", subject, "--name", "Quandlekin").status == 0
    assert run("gate", "Quandlekin sings").document["verdict"] == "block"

    before = rows(home)
    told = run("simulate", "--rule", subject, "review").document
    assert told["outcomes"] == [{"before": "block", "after": "review", "count": 1}]
    assert (told["changed"], told["examples"][0]["kind"]) == (1, "refused")
    assert run("simulate", "--policy", "marks-only", "--since", "2999-01-01").document["compared"] == 0
    assert run("simulate", "--threshold", "clip/frame_picture=0.9", "--limit", "1").document["changed"] == 0
    for wrong in (
        (),
        ("--since", "today", "--policy", "opt-out"),
        ("--threshold", "clip/x=1"),
        ("--policy", "x"),
    ):
        assert run("simulate", *wrong).status == 2
    assert rows(home) == before
