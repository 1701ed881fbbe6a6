"""What labelling rules ask for, and what of it a file carries."""
