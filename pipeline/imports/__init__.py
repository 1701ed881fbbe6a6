"""Catalogues: many opt-outs in one call, checked whole, written in chunks, given back in the same form."""
