"""What a process that serves or runs jobs needs before it begins: its models, and where its log goes."""

from typing import Any, Final

from pipeline.eyes import Eyes
from pipeline.policy import DESCRIPTIONS, FRAMES, LIKENESS, NAMES, UNREGISTERED, UNSAFE, WORDS, preset
from pipeline.settings import Settings

BY_MODELS: Final = frozenset({DESCRIPTIONS, FRAMES, LIKENESS, UNSAFE, WORDS})
"""Checks that cannot be made without a model."""
BY_TABLES: Final = frozenset({NAMES, UNREGISTERED, WORDS})
"""Checks that look for names."""

LOGS: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "countermark": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}


def required_eyes(settings: Settings) -> Eyes:
    """The models, loaded with their calibrations where the policy of the settings asks for any of them, and
    the tables for names tried where it asks for those.

    Raises: `classifiers.errors.ModelUnusable`, CalibrationMissing, CalibrationUnusable.
    """
    eyes, required = Eyes.of(settings), set(preset(settings.policy).required)
    if required & BY_TABLES:
        from classifiers.names import demand_tables

        demand_tables()
    if required & BY_MODELS:
        eyes.open()
    return eyes


def try_models(settings: Settings) -> None:
    """Load the models that the settings name, so that one that is missing stops the start and no request.

    Raises: ModelUnusable, GeneratorUnusable.
    """
    if settings.speech_model:
        from pipeline.listening import open_reader

        open_reader(settings)
    if settings.enhancer:
        from pipeline.release.generation import opened_enhancer

        opened_enhancer(settings.enhancer, settings.enhancer_sha256)
