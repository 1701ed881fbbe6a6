"""Finds things in prompts and frames."""
