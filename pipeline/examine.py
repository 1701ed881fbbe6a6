"""All checks that compare, on one sight: for a live job, in the publish fence and in the retro-scan.

What the checks need is imported when one is asked for: marking and signing alone do without (the extra
``classify``).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from classifiers.base import CheckReport, CheckState, References, Sight
from pipeline import policy
from pipeline.passes import by_pass

if TYPE_CHECKING:
    from classifiers.names import NameMatcher
    from classifiers.thresholds import Calibration

Calibrations = Mapping[str, "Calibration"]
"""By space."""
DEADLINE_SECONDS: Final = 30.0  # of one check: it compares numbers, no model runs


def examine(
    checks: Sequence[str], sight: Sight, references: References, calibrations: Calibrations,
    matcher: "NameMatcher | None" = None,
) -> tuple[CheckReport, ...]:  # fmt: skip
    """Run the named checks; each gives one report, also when it fails. `matcher`: of `references.names`."""
    from classifiers.descriptions import check_descriptions
    from classifiers.faces import check_faces
    from classifiers.names import check_names, check_unregistered
    from classifiers.run import run_checks
    from classifiers.similarity import check_frames
    from classifiers.unsafe.check import check_unsafe
    from classifiers.unsafe.embedded import quoted
    from classifiers.unsafe.frames import check_unsafe_frames, with_likeness
    from classifiers.words import check_words

    known = {
        policy.NAMES: partial(check_names, sight, references, matcher),
        policy.DESCRIPTIONS: partial(
            by_pass, lambda one: check_descriptions(one, references, calibrations), sight
        ),
        policy.UNREGISTERED: partial(check_unregistered, sight, references, matcher),
        policy.UNSAFE: partial(check_unsafe, sight, calibrations, quoted),
        policy.FRAMES: partial(check_frames, sight, references, calibrations),
        policy.UNSAFE_FRAMES: partial(check_unsafe_frames, sight, calibrations),
        policy.LIKENESS: partial(check_faces, sight, references, calibrations),
        policy.WORDS: partial(check_words, sight, references, matcher),
    }
    asked = {check: known[check] for check in checks if check in known}
    missing = [
        CheckReport(check=check, state=CheckState.NOT_CONFIGURED) for check in checks if check not in known
    ]
    return with_likeness((*run_checks(asked, seconds=DEADLINE_SECONDS), *missing))


def unasked(checks: Sequence[str]) -> tuple[CheckReport, ...]:
    """Reports of prompt checks where no prompt came with the clip."""
    return tuple(CheckReport(check=check, state=CheckState.NOT_APPLICABLE) for check in checks)
