"""Errors of the classifiers: the type is for code, the text is one sentence that says what to do."""

from typing import ClassVar


class ClassifierError(Exception):
    """Base of the classifiers' errors; ``code`` is stable and never changes its meaning."""

    code: ClassVar[str] = "classifier"


class ModelUnusable(ClassifierError):
    """A model cannot be used: missing or damaged parts, weights that are pickles, another digest."""

    code = "model_unusable"


class CalibrationMissing(ClassifierError):
    """A space has no calibration, or none for the comparison asked for: its scores mean nothing."""

    code = "calibration_missing"


class CalibrationUnusable(ClassifierError):
    """The file of a calibration is damaged, or of another format or space."""

    code = "calibration_unusable"


class TooFewScores(ClassifierError):
    """A calibration cannot be made from so little material: no threshold can be read from it."""

    code = "calibration_too_few"
    exit_code: ClassVar[int] = 2
    http_status: ClassVar[int] = 422


class NameRefused(ClassifierError):
    """A name that cannot be registered: it would hit what everybody writes, or has nothing to look for."""

    code = "name_refused"
    exit_code: ClassVar[int] = 2
    http_status: ClassVar[int] = 422


class TooMuchToSee(ClassifierError):
    """There is more than is looked at or compared, and it is not done in part: who asks is told so."""

    code = "too_much"


class TooManyFaces(TooMuchToSee):
    """A frame shows more faces than are told apart: none of them is left out unseen."""

    code = "too_many_faces"


class TooManyAlike(TooMuchToSee):
    """More registered subjects are alike than a check compares."""

    code = "too_many_alike"


class TooManyWords(TooMuchToSee):
    """A clip shows more words than are read: it is not read in part."""

    code = "too_many_words"
