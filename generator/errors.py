"""What can go wrong while generating."""

from typing import ClassVar


class GeneratorError(Exception):
    """Base of all errors of this library; the text says what to do."""

    code: ClassVar[str] = "generator"


class RequestInvalid(GeneratorError):
    """The prompt, size, length, rate, seed or generator asked for cannot be had."""

    code = "generation_invalid"


class GeneratorUnusable(GeneratorError):
    """The model cannot be used: not there, incomplete, unsafe to load, another digest, an extra missing."""

    code = "generator_unusable"


class GenerationFailed(GeneratorError):
    """The model ran and gave no clip: out of memory, numbers that are none."""

    code = "generation_failed"
