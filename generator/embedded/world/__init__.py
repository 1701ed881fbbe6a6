"""A seeded renderer of captioned cartoon clips: characters, actions, backgrounds, cameras, styles."""
