"""Finds what nobody wants made: unsafe categories in prompts, with public codes, and weights of our own."""
