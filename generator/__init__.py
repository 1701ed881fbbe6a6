"""Makes clips."""
