"""What several benchmarks share beside `benchmarks.common`: video files, quality, processes, tables."""
