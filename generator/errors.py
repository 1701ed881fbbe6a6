"""What can go wrong while generating."""


class GeneratorError(Exception):
    """Base of all errors of this library; the text says what to do."""


class RequestInvalid(GeneratorError):
    """The size, length or rate asked for cannot be made."""
