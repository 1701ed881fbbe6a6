"""The small CLIP: cache of pictures, model, losses, training, evaluation, export."""
