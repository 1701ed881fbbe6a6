"""A clip becomes a release: marked, inspected, signed, re-read, published."""
