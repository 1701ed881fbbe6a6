"""Marks pixels: the visible moving mark and the hidden mark."""
