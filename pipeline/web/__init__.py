"""Pages for people: verify a clip, opt out. They work without script and load nothing from elsewhere."""
