"""The evidence bundle: a zip with what is registered, what came of it, and the proofs, that verifies offline.

The same state of the registry gives the same bytes. What is in it: docs/transparency.md.
"""

import hashlib
import io
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

from pipeline.errors import UsageError
from pipeline.types import Json
from registry import dossier, log, receipts, subjects, verify_log
from registry.checkpoint import NoteSigner, sign_note
from registry.db import read
from registry.errors import NotFound, RegistryDamaged
from registry.store import Area, FileStore

FORMAT: Final = verify_log.BUNDLE
EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
MODE: Final = 0o644 << 16
README: Final = """# Evidence from a Countermark registry

About {about}, as of entry {size} of the log.

Check it offline, with Python 3.11 and `pip install cryptography`; nothing of Countermark is needed:

    python verify_log.py --key KEY bundle.zip

KEY is the log's public key as the service publishes it. `log.vkey` holds the key that this bundle was made
with; without --key the verifier takes that one, which only shows that the bundle agrees with itself.

- `facts.json`: what is registered, what came of it. The service vouches for it: `bundle.note` signs the list
  of all files here, `bundle.json`.
- `proofs/`: entries of the log with their way to a signed checkpoint. Your own acts are opened: `opened`
  holds what the entry commits to, which nobody else can read out of the log.
- `proofs/release-*.json`: a release with its manifest, which names the checkpoint it was checked against.
- `log.checkpoint`: the log's signed state. Compare it with what others hold of this log, or ask the service
  for the consistency proof between the two.
- `verify_log.py`: the verifier, under 200 lines; read it, or fetch it from elsewhere.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundler:
    """Makes bundles of one home. `key`: the log's public key as `name+id+base64`."""

    engine: Engine
    store: FileStore
    signer: NoteSigner
    key: str

    def bundle(
        self, *, subject: str | None = None, claim: str | None = None, release: str | None = None
    ) -> bytes:
        """The zip about one of the three. Raises: NotFound, UsageError."""
        if [subject, claim, release].count(None) != 2:
            raise UsageError("name a subject, a claim or a release; one of the three")
        with read(self.engine) as conn:
            note = log.latest(conn)
            if note is None:
                raise NotFound("The log is empty: there is nothing to prove.")
            about = subject or (dossier.subject_of_claim(conn, claim) if claim else None)
            if about is not None:
                found = dossier.of_subject(conn, about)
            else:
                found = dossier.of_release(conn, str(release))
            rows = dossier.release_rows(conn, found.releases)
            proofs = found.proofs | {
                f"proofs/release-{row.id}.json": receipts.of_release(conn, row.log_seq, self._manifest(row))
                for row in rows
            }
        facts: Json = {
            "format": "countermark-facts/1", "registered": self._registered(about), "acts": found.acts,
            "decisions": found.decisions,
            "releases": [
                {"release": row.id, "state": row.state, "published_at": row.published_at,
                 "payload": row.payload, "file_sha256": row.file_sha256}
                for row in rows
            ],
        }  # fmt: skip
        told = f"the opt-out {about}" if about else f"the release {release}"
        return self._zipped({name: receipts.written(proof) for name, proof in proofs.items()} | {
            "facts.json": receipts.written(facts), "log.checkpoint": note.encode(),
            "README.md": README.format(about=told, size=note.split("\n")[1]).encode(),
        })  # fmt: skip

    def release(self, release_id: str) -> Json:
        """The document that proves a release to a stranger. Raises: NotFound."""
        with read(self.engine) as conn:
            rows = dossier.release_rows(conn, (release_id,))
            if not rows:
                raise NotFound(f"There is no release {release_id[:40]!r}.")
            return receipts.of_release(conn, rows[0].log_seq, self._manifest(rows[0]))

    def _registered(self, subject: str | None) -> Json | None:
        """What is in force of a subject: whoever may have the bundle registered it."""
        if subject is None:
            return None
        record = subjects.get(self.engine, subject)
        if record is None:
            raise NotFound(f"There is no opt-out {subject[:40]!r}.")
        pictures: list[Any] = [asdict(one) for one in subjects.references(self.engine, subject)]
        return {
            "subject": record.id, "kind": record.kind, "name": record.name, "owner": record.owner,
            "mode": record.mode, "state": record.state, "description": record.description,
            "attributes": [*record.attributes], "exclusions": [*record.exclusions],
            "names": [
                {"text": one.text, "kind": one.kind, "language": one.language, "tier": one.tier}
                for one in record.names
            ],
            "pictures": [{"sha256": one["sha256"], "polarity": one["polarity"]} for one in pictures],
            "rules": [
                {"rule": one.id, "effect": one.effect, "account": one.account, "licence": one.licence,
                 "valid_from": one.valid_from, "valid_until": one.valid_until}
                for one in record.rules
            ],
        }  # fmt: skip

    def _manifest(self, row: Any) -> bytes:
        try:
            return self.store.check(Area.MANIFESTS, row.manifest_sha256).read_bytes()
        except (NotFound, OSError) as error:
            raise RegistryDamaged(f"The manifest of release {row.id} is lost; restore a backup.") from error

    def _zipped(self, files: dict[str, bytes]) -> bytes:
        files |= {
            "verify_log.py": Path(verify_log.__file__).read_bytes(), verify_log.KEY: self.key.encode(),
        }  # fmt: skip
        hashes: Json = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
        listed = receipts.written({"format": FORMAT, "files": hashes})
        note = sign_note(f"{FORMAT}\n{hashlib.sha256(listed).hexdigest()}\n", self.signer)
        files |= {"bundle.json": listed, "bundle.note": note.encode()}
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(files):
                info = zipfile.ZipInfo(name, EPOCH)
                info.external_attr, info.create_system = MODE, 3
                archive.writestr(info, files[name])
        return packed.getvalue()
