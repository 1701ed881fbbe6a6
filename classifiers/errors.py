"""Errors of the classifiers: the type is for code, the text is one sentence that says what to do."""

from typing import ClassVar


class ClassifierError(Exception):
    """Base of the classifiers' errors; ``code`` is stable and never changes its meaning."""

    code: ClassVar[str] = "classifier"


class ModelUnusable(ClassifierError):
    """A model cannot be used: missing or damaged parts, weights that are pickles, another digest."""

    code = "model_unusable"
