"""Recipes for the embedded generator."""
