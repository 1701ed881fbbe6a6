"""The recipe for what judges frames: material, fits, conversions, words, and calibrations."""
