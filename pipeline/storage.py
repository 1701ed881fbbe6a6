"""Where the files of a home lie, by its settings."""

from pipeline.settings import Settings
from registry.store import FileStore


def open_store(settings: Settings, *, create: bool = True) -> FileStore:
    """The file store; with ``create`` its folders are made. Raises: `registry.errors.RegistryError`."""
    if settings.files_url is None or settings.files_url.startswith("file:"):
        return FileStore(settings.files, create=create)
    from registry.buckets import open_bucket

    return open_bucket(settings.files, settings.files_url, create=create)
