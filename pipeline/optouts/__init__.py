"""What rights holders say no to: orders are read, looked at and registered, all or nothing."""
