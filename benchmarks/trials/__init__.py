"""Trials of marks: clips, schemes, cells that are kept, figures against goals (docs/attacks.md)."""
