"""Attacks on video watermarks: what platforms, people and removers do to a clip (docs/attacks.md)."""
