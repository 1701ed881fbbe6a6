"""Recipes that train the embedded models; not installed, and nothing imports it."""
