"""The small model that ships, and the drawn world it was trained on."""
