"""What a process that serves or runs jobs needs before it begins: its models, ready for use."""

from typing import Final

from pipeline.credentials.choice import LOCAL
from pipeline.eyes import Eyes
from pipeline.policy import DESCRIPTIONS, FRAMES, LIKENESS, NAMES, UNREGISTERED, UNSAFE, WORDS, preset
from pipeline.settings import Settings

BY_MODELS: Final = frozenset({DESCRIPTIONS, FRAMES, LIKENESS, UNSAFE, WORDS})
"""Checks that cannot be made without a model."""
BY_TABLES: Final = frozenset({NAMES, UNREGISTERED, WORDS})
"""Checks that look for names."""


def open_models(settings: Settings, eyes: Eyes) -> None:
    """Load every model that the settings name, so that one that is missing stops the start and no request.

    Raises: ModelUnusable, CalibrationMissing, CalibrationUnusable, GeneratorUnusable.
    """
    required_eyes(settings, eyes)
    if settings.speech_model:
        from pipeline.listening import open_reader

        open_reader(settings)
    if settings.enhancer:
        from pipeline.release.generation import opened_enhancer

        opened_enhancer(settings.enhancer, settings.enhancer_sha256)


def open_signing(settings: Settings) -> None:
    """Let a claim key outside this process sign a nonce: a key, PIN or certificate that does not fit stops
    the start. The home's own key is made with the home.

    Raises: SigningFailed.
    """  # fmt: skip
    if settings.signer == LOCAL:
        return
    from pipeline.release.credential import keys_now

    keys_now(settings).claim_signer()


def required_eyes(settings: Settings, eyes: Eyes | None = None) -> Eyes:
    """The models, loaded with their calibrations where the policy of the settings asks for any of them, and
    the tables for names tried where it asks for those.

    Raises: `classifiers.errors.ModelUnusable`, CalibrationMissing, CalibrationUnusable.
    """
    eyes, required = eyes or Eyes.of(settings), set(preset(settings.policy).required)
    if required & BY_TABLES:
        from classifiers.names import demand_tables

        demand_tables()
    if required & BY_MODELS:
        eyes.open()
    return eyes
