"""Database migrations, applied by `registry.db.open_database`."""
