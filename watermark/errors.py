"""What can go wrong while marking."""


class WatermarkError(Exception):
    """Base of all errors of this library; the text says what to do."""


class PayloadError(WatermarkError):
    """The 64 bits are not a payload that this key issued."""


class KeyMaterialError(WatermarkError):
    """Key bytes have the wrong length or version."""


class GeometryError(WatermarkError):
    """The frames are too small or of the wrong shape for a mark."""
