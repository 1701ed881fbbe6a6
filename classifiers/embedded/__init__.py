"""The small CLIP that ships: weights, vocabulary and model card."""
