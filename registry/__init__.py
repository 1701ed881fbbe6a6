"""Remembers wishes and releases, and proves what it remembers."""
