"""Calibrations: material, what the checks make of it, thresholds, and the versioned file with its plot."""
