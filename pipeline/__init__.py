"""Decides and connects: media files, credentials, release, verification, command line."""
