"""Frames against pictures: who is found, when, where, and what suppresses or weighs it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from classifiers.base import CheckState, Kind, Seen, Sight, Vectors
from classifiers.run import run_checks
from classifiers.similarity import NEIGHBOURS, Scoring, check_frames, clip_score, nearness
from classifiers.thresholds import FRAME_PICTURE, Calibration, Layer

SPACE = "clip-test"
BOXES = ((0.0, 0.0, 1.0, 1.0), (0.4, 0.4, 1.0, 1.0))


@dataclass(frozen=True)
class Row:
    subject: str
    reference: str
    vector: Vectors
    polarity: int = 1
    kind: str = "picture"
    score: float = 0.0


class Rows:
    """References as plain rows, compared one by one."""

    seq, names = 1, ()

    def __init__(self, *rows: Row) -> None:
        self._rows = rows

    def search(self, space: str, kinds: Sequence[str], vectors: Vectors, neighbours: int) -> list[list[Row]]:
        fitting = [row for row in self._rows if space == SPACE and row.kind in kinds]
        return [self._near(vector, fitting)[:neighbours] for vector in vectors]

    @staticmethod
    def _near(vector: Vectors, rows: list[Row]) -> list[Row]:
        scored = [
            Row(row.subject, row.reference, row.vector, row.polarity, row.kind, float(vector @ row.vector))
            for row in rows
        ]
        return sorted(scored, key=lambda row: -row.score)


def unit(*values: float) -> Vectors:
    vector = np.zeros(8, np.float32)
    vector[: len(values)] = values
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def sight(*vectors: Vectors, times: tuple[float, ...] | None = None) -> Sight:
    stamps = times or tuple(float(index) for index in range(len(vectors)))
    boxes = tuple(BOXES[index % 2] for index in range(len(vectors)))
    frames = Seen(kind=Kind.FRAME, space=SPACE, vectors=np.stack(vectors), times=stamps, boxes=boxes)
    return Sight(seen=(frames,))


def calibrations(
    threshold: float = 0.9, cohort: Vectors | None = None, **numbers: float
) -> dict[str, Calibration]:
    made = Calibration(
        space=SPACE, version=1, made={}, numbers=numbers,
        layers={FRAME_PICTURE: Layer(threshold=threshold, slope=30.0, intercept=-30.0 * threshold)},
        cohort=np.zeros((0, 8), np.float32) if cohort is None else cohort,
    )  # fmt: skip
    return {SPACE: made}


FOX = Row("fox", "fox-1", unit(1))
OWL = Row("owl", "owl-1", unit(0, 1))


def test_one_moment_and_its_region_are_named() -> None:
    report = check_frames(
        sight(unit(0, 0, 1), unit(1, 0, 0.1), unit(0, 0, 0, 1)), Rows(FOX, OWL), calibrations()
    )
    (finding,) = report.findings
    assert report.state is CheckState.COMPLETED
    assert (finding.subject, finding.reference, finding.code) == ("fox", "fox-1", "picture_match")
    assert finding.times == (1.0,)
    assert finding.boxes == (BOXES[1],)
    assert finding.score == pytest.approx(0.995, abs=0.001)
    assert finding.probability is not None
    assert finding.probability > 0.9
    assert report.scores[FRAME_PICTURE] == pytest.approx(finding.score)
    assert finding.calibration == calibrations()[SPACE].mark


def test_nothing_near() -> None:
    report = check_frames(sight(unit(0, 0, 1)), Rows(FOX, OWL), calibrations())
    assert (report.state, report.findings) == (CheckState.COMPLETED, ())


def test_nobody_registered() -> None:
    report = check_frames(sight(unit(1)), Rows(), calibrations())
    assert (report.state, report.findings) == (CheckState.COMPLETED, ())


def test_two_subjects_in_one_clip_best_first() -> None:
    report = check_frames(sight(unit(1, 0.3), unit(0, 1)), Rows(FOX, OWL), calibrations())
    assert [finding.subject for finding in report.findings] == ["owl", "fox"]


def test_a_second_picture_of_one_subject_does_not_hide_another_subject() -> None:
    many = [Row("fox", f"fox-{number}", unit(1, number / 1000)) for number in range(10)]
    report = check_frames(
        sight(unit(1, 0.8)), Rows(*many, Row("owl", "owl-1", unit(1, 1))), calibrations(0.7)
    )
    assert {finding.subject for finding in report.findings} == {"fox", "owl"}
    assert NEIGHBOURS > 10


def test_a_negative_reference_suppresses_what_is_nearer_to_it() -> None:
    look_alike = Row("fox", "not-fox", unit(1, 0.3), polarity=-1)
    near_it = check_frames(sight(unit(1, 0.3)), Rows(FOX, look_alike), calibrations())
    near_fox = check_frames(sight(unit(1)), Rows(FOX, look_alike), calibrations())
    others = check_frames(
        sight(unit(1, 0.3)), Rows(FOX, look_alike, Row("owl", "o", unit(1))), calibrations()
    )
    assert near_it.findings == ()
    assert [finding.subject for finding in near_fox.findings] == ["fox"]
    assert [finding.subject for finding in others.findings] == ["owl"]


def test_support_over_time_weighs() -> None:
    once = sight(unit(1), unit(0, 0, 1), unit(0, 0, 0, 1))
    always = sight(unit(1), unit(1, 0.1), unit(1, 0, 0.1))
    found = calibrations(0.8, support_weight=0.5, support_moments=3.0)
    assert check_frames(once, Rows(FOX), found).findings == ()
    assert check_frames(always, Rows(FOX), found).findings
    assert check_frames(sight(unit(1)), Rows(FOX), found).findings  # a single picture has no other moments


def test_a_moment_alone_counts_where_it_is_a_little_better() -> None:
    once = sight(unit(1), unit(0, 0, 1), unit(0, 0, 0, 1))
    numbers = {"support_weight": 0.5, "support_moments": 3.0}
    (finding,) = check_frames(once, Rows(FOX), calibrations(0.8, **numbers, single_margin=0.1)).findings
    assert finding.score == pytest.approx(0.9)
    assert check_frames(once, Rows(FOX), calibrations(0.8, **numbers, single_margin=0.3)).findings == ()


def test_what_is_near_everything_weighs_less() -> None:
    cohort = np.stack([unit(1, 0, 0, 0, 1), unit(1, 0, 0, 0, 0, 1)])
    plain = check_frames(sight(unit(1)), Rows(FOX), calibrations(0.9, cohort))
    weighed = check_frames(
        sight(unit(1)), Rows(FOX), calibrations(0.9, cohort, cohort_weight=0.5, cohort_nearest=2.0)
    )
    assert plain.findings
    assert weighed.scores[FRAME_PICTURE] == pytest.approx(1 - 0.5 / 2**0.5, abs=1e-3)
    assert weighed.findings == ()


def test_nearness_takes_the_nearest_of_the_cohort() -> None:
    cohort = np.stack([unit(1), unit(0, 1), unit(0, 0, 1)])
    scoring = Scoring(cohort_weight=1.0, cohort_nearest=1)
    np.testing.assert_allclose(
        nearness(np.stack([unit(1), unit(0, 1, 1)]), cohort, scoring), [1, 0.7071], 1e-3
    )


def test_clip_score() -> None:
    scoring = Scoring(support_weight=0.5, support_moments=2)
    assert clip_score([0.8], scoring) == 0.8
    assert clip_score([0.8, 0.4, 0.1], scoring) == pytest.approx(0.7)


def test_regions_of_one_moment_count_once() -> None:
    seen = sight(unit(1), unit(1, 0.2), times=(2.0, 2.0))
    (finding,) = check_frames(seen, Rows(FOX), calibrations()).findings
    assert (finding.times, finding.boxes) == ((2.0,), (BOXES[0],))


def test_the_same_in_a_small_and_a_large_registry() -> None:
    rng = np.random.default_rng(0)
    others = [Row(f"s{number}", f"r{number}", unit(0, 0, *rng.normal(size=6))) for number in range(200)]
    seen = sight(unit(1, 0.2), unit(1))
    (alone,) = check_frames(seen, Rows(FOX), calibrations()).findings
    (among,) = check_frames(seen, Rows(*others, FOX), calibrations()).findings
    assert alone == among


@pytest.mark.parametrize(
    "seen", [Sight(), Sight(seen=(Seen(kind=Kind.FRAME, space=SPACE, vectors=np.zeros((0, 8), np.float32)),))]
)
def test_a_clip_that_was_not_looked_at_is_not_passed(seen: Sight) -> None:
    assert check_frames(seen, Rows(FOX), calibrations()).state is CheckState.SKIPPED


def test_numbers_that_are_none_and_spaces_without_calibration_are_failures() -> None:
    broken = sight(np.full(8, np.nan, np.float32))
    reports = [
        *run_checks({"frames": lambda: check_frames(broken, Rows(FOX), calibrations())}, seconds=5),
        *run_checks({"frames": lambda: check_frames(sight(unit(1)), Rows(FOX), {})}, seconds=5),
    ]
    assert [report.state for report in reports] == [CheckState.FAILED] * 2
    assert "CalibrationMissing" in reports[1].detail
