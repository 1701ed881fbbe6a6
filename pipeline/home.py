"""Where things lie in a home. Pure paths, but for `make`."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import HomeUnusable


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one installation: keys, registry, files."""

    root: Path

    @property
    def keys(self) -> Path:
        """Detection keys, minting key and log key (`pipeline.keyring`)."""
        return self.root / "keys"

    @property
    def pki(self) -> Path:
        """Signing keys and their certificates (`pipeline.credentials.pki`)."""
        return self.keys / "pki"

    @property
    def database(self) -> Path:
        """The registry (`registry.db`)."""
        return self.root / "registry.db"

    @property
    def index(self) -> Path:
        """What a start would otherwise read from the registry and index again (`registry.segment_files`)."""
        return self.root / "index"

    @property
    def files(self) -> Path:
        """Staged, held and released files, stored manifests (`registry.store`)."""
        return self.root / "files"

    @property
    def uploads(self) -> Path:
        """What clients of `serve` sent, until it is looked at or taken in (`pipeline.api.uploads`)."""
        return self.root / "uploads"

    @property
    def drafts(self) -> Path:
        """Opt-outs that somebody is writing on the pages, for a day (`pipeline.web.drafts`)."""
        return self.root / "drafts"

    @property
    def kept_uploads(self) -> Path:
        """Those of them that jobs still have to take in."""
        return self.uploads / "kept"

    @property
    def past(self) -> Path:
        """Codes of what was seen of releases; made again from the registry (`registry.past`)."""
        return self.root / "past"

    @property
    def similar(self) -> Path:
        """Keys of what releases show; made again from the registry (`pipeline.verify.similar_releases`)."""
        return self.root / "similar"

    @property
    def locks(self) -> Path:
        """Lock files of running jobs (`registry.jobs`)."""
        return self.root / "locks"

    @property
    def imports(self) -> Path:
        """What unfinished imports have seen (`pipeline.imports.staging`)."""
        return self.root / "imports"

    def make(self) -> None:
        """Make the folder, for its owner only, if it is missing. Raises: HomeUnusable."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError:
            raise HomeUnusable(f"{self.root} is not a folder; name another home") from None
        except OSError as error:
            raise HomeUnusable(
                f"cannot make the home {self.root} ({error.strerror}); name another one"
            ) from None
