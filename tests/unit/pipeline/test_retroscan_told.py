"""What a holder is told of a scan: how far it is, and which releases it found, without scores."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from past_builders import CALIBRATIONS, name, prompt

from benchmarks.tools.past_home import PastHome, opened
from pipeline import retroscan
from registry import scans
from registry.db import read
from registry.subjects import get


@pytest.fixture
def home(tmp_path: Path) -> Iterator[PastHome]:
    with opened(tmp_path / "home", CALIBRATIONS) as made:
        yield made


def progress(home: PastHome, subject: str) -> scans.Progress:
    record = get(home.app.engine, subject)
    assert record is not None
    with read(home.app.engine) as conn:
        return scans.progress(conn, record.seq)


def matches(home: PastHome, subject: str, limit: int = 50) -> list[scans.Match]:
    with read(home.app.engine) as conn:
        return scans.matches(conn, subject, limit)


def test_how_far_it_is_and_what_it_found(home: PastHome, monkeypatch: Any) -> None:
    monkeypatch.setattr(retroscan, "PAGE", 2)
    made = [prompt(home, f"Hollowmere Tix number {n}") for n in range(5)]
    prompt(home, "nobody")
    subject = name(home, "Hollowmere Tix")
    assert progress(home, subject) == scans.Progress(releases=6, compared=0, done=False)
    assert matches(home, subject) == []

    class Killed(BaseException):
        pass

    def kill(count: int) -> None:
        if count >= 4:
            raise Killed

    with pytest.raises(Killed):
        home.app.retroscan(kill)
    halfway = progress(home, subject)
    assert 0 < halfway.compared < 6
    assert not halfway.done
    home.app.retroscan()
    assert progress(home, subject) == scans.Progress(releases=6, compared=6, done=True)
    found = matches(home, subject)
    assert [one.release for one in found] == [one.id for one in reversed(made)]
    assert not any(one.served for one in found)
    assert matches(home, subject, 2) == found[:2]
    other = name(home, "Vexmoor Quandle")
    assert not progress(home, other).done
    home.app.retroscan()
    assert matches(home, other) == []


def test_where_nothing_is_out_nothing_is_waited_for(home: PastHome) -> None:
    assert progress(home, name(home, "Hollowmere Tix")).done
