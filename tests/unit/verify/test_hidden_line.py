"""The hidden mark's line: what was not searched is not said to be absent."""

import pytest

from pipeline.types import EvidenceState
from pipeline.verify.words import hidden_line
from watermark.base import Detection


def detection(blocks: int, searched: int, presence: float = 0.0) -> Detection:
    return Detection(
        payload=None, log10_chance=0.0, presence_log10_chance=presence, span=None, geometry=None,
        key_epoch=None, frames=30, blocks=blocks, searched=searched,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("blocks", "searched", "state", "words"),
    [
        (0, 0, EvidenceState.NOT_CHECKED, "too short"),
        (1, 0, EvidenceState.NOT_CHECKED, "too short"),
        (40, 0, EvidenceState.NOT_CHECKED, "far apart"),
        (2, 1, EvidenceState.ABSENT, "Parts of the clip"),
        (1001, 1000, EvidenceState.ABSENT, "too late"),
        (3, 3, EvidenceState.ABSENT, "not found."),
    ],
)
def test_what_was_searched(blocks: int, searched: int, state: EvidenceState, words: str) -> None:
    line = hidden_line(detection(blocks, searched), failed=False)
    assert line.state is state
    assert words in line.summary
    assert ("Parts" in line.summary) is (0 < searched < blocks)


def test_a_trace_is_told_whatever_was_left_out() -> None:
    assert hidden_line(detection(2, 1, presence=-11.0), failed=False).state is EvidenceState.FOUND
