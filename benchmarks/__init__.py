"""Measurements, run from a source checkout; nothing imports them."""
