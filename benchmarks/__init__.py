"""Measurements of the product, each run as `python -m benchmarks.NAME`; not installed (see README.md)."""
