"""The embedded classifier of unsafe prompts: text the project writes itself, and what is fitted to it."""
