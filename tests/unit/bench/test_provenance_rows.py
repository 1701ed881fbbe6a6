"""The provenance benchmark leaves out the rows that it lists and no other; a defect inside is no such row."""

from argparse import Namespace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Final

import pytest

from benchmarks import provenance
from benchmarks.provenance import ABSENT, CREATED, GUARDED, PARENT, Cell
from benchmarks.trials.stuffing import STUFFED
from benchmarks.trials.tampering import NONE, ROWS, Subject, make_row
from pipeline.credentials.trust import SignerTable, TrustStore

ASKED: Final = Namespace(seed=1, flips=1, verdicts=0)
TRUST: Final = TrustStore(claim_roots="", tsa_roots="", signers=SignerTable())
LISTED: Final = next(iter(sorted(ABSENT[CREATED])))


def ignore(_source: Path, _target: Path) -> None:
    """Nobody signs here."""


GIVEN: Final = Subject(
    content=b"", other=b"", spans={}, sign_as_stranger=ignore, sign_over_as_stranger=ignore
)


def lacking(_given: Subject, _random: Random, _folder: Path) -> Path:
    raise KeyError("such a part")


def plain(_given: Subject, _random: Random, folder: Path) -> Path:
    path = folder / "plain.txt"
    path.write_bytes(b"no video")
    return path


def filled(name: str, make: Any, verifier: Any = None) -> Cell:
    cell = Cell(make_row(name, make, NONE, places=True), CREATED)
    opened: Any = verifier or SimpleNamespace(trust=TRUST)
    provenance._fill(cell, GIVEN, opened, ASKED)
    return cell


def test_a_listed_row_is_left_out_and_any_other_is_not() -> None:
    assert not filled(LISTED, lacking).worth
    with pytest.raises(SystemExit, match="such a part"):
        filled("another row", lacking)


def test_a_row_that_is_listed_in_vain_is_told() -> None:
    assert filled("another row", plain).unexpected == []
    [told] = filled(LISTED, plain).unexpected
    assert "against the list" in told


def test_an_error_of_a_validator_is_no_row_left_out() -> None:
    class Defective:
        @property
        def trust(self) -> TrustStore:
            raise KeyError("a defect of ours")

    for name in (LISTED, "another row"):
        with pytest.raises(KeyError, match="a defect of ours"):
            filled(name, plain, Defective())


def test_what_is_listed_is_a_row_of_a_clip() -> None:
    names = {row.name for row in (*ROWS, *STUFFED)}
    assert len(names) == len(ROWS) + len(STUFFED)
    assert set(ABSENT) == {CREATED, GUARDED, PARENT}
    assert frozenset().union(*ABSENT.values()) <= names
