"""The verifier of one machine: keys from a home or a bundle, releases from the home's registry, offline."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pipeline.credentials import fingerprint as prints
from pipeline.credentials.read import read_credential
from pipeline.credentials.reading import CredentialReading
from pipeline.credentials.text import safe_text
from pipeline.credentials.trust import TrustStore
from pipeline.errors import CountermarkError, UsageError
from pipeline.keyring import LogKey
from pipeline.media.limits import media_limits
from pipeline.settings import Settings
from pipeline.types import Evidence, EvidenceState, FileVerdict, Json
from pipeline.verify import checked, content, types, visible, words
from pipeline.verify.issued_list import IssuedList
from pipeline.verify.ladder import Facts, FingerprintMatch, names_release, state_of_log, verdict
from pipeline.verify.matching import compare
from pipeline.verify.observe import Observation, observe
from pipeline.verify.proving import knows_fingerprint, prove
from pipeline.verify.types import ReleaseSummary, VerificationReport
from registry.errors import NotFound, ProofInvalid, RegistryError
from registry.lookup import Lookup
from registry.store import Area, FileStore
from registry.types import FoundRelease, LogProof, ReleaseState
from watermark.detector import HiddenMarkDetector
from watermark.issued import Issued
from watermark.keys import DetectionKey
from watermark.payload import as_hex

Progress = Callable[[float, float], None]
Admit = Callable[[prints.Fingerprint], None]
Named = Callable[[str], None]
Tell = Callable[[str, Evidence | None], None]
"""Told (line, None) when a line of evidence begins to be looked for, and (line, evidence) when that has
ended; a second time where another line changes it. Always from the thread that verifies; what it raises ends
the verification."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Everything needed to verify; `keys`, `lookup`, `manifests` and `log_key` may be missing.

    `accepts`: the payload MAC, where the minting key is at hand. `interrupted`: jobs that wait in the home.
    `notes`: what every report says.
    """

    settings: Settings
    trust: TrustStore
    keys: tuple[DetectionKey, ...] = field(default=(), repr=False)
    accepts: Callable[[int], bool] | None = field(default=None, repr=False)
    lookup: Lookup | None = None
    issued: IssuedList | None = field(default=None, repr=False)
    manifests: FileStore | None = None
    log_key: LogKey | None = None
    interrupted: int = 0
    notes: tuple[str, ...] = ()

    def verify(
        self, path: Path, *, strip: bool = False, progress: Progress = lambda _done, _all: None,
        admit: Admit = lambda _fingerprint: None, named: Named = lambda _payload: None,
        tell: Tell = lambda _line, _evidence: None,
    ) -> VerificationReport:  # fmt: skip
        """Verify one file; never raises for what is in it. `strip`: also collect pictures for the report.

        `admit`: told the fingerprint before anything is looked up, and `named` the mark's payload, 16 hex
        digits, if one is read; what they raise ends the verification, and until then `tell` learns nothing of
        the marks.
        """
        began = time.monotonic()
        case = _Case(self, path, tell)
        case.gather(strip=strip, progress=progress, admit=admit, named=named)
        return case.report(seconds=time.monotonic() - began)


class _Case:
    """One file being verified: evidence is gathered, then judged once."""

    def __init__(self, verifier: Verifier, path: Path, tell: Tell) -> None:
        self._verifier, self._path, self._tell = verifier, path, tell
        self._observation: Observation | None = None
        self._failure: str | None = None
        self._taken = False
        self._credential: CredentialReading | None = None
        self._stored: CredentialReading | None = None
        self._release: FoundRelease | None = None
        self._proof: LogProof | None = None
        self._proven = self._log_failed = self._registry_failed = False
        self._checked = checked.Checked(state=checked.CheckedState.NONE)
        self._alignments: tuple[prints.Alignment, ...] = ()
        self._content: content.ContentMatch | None = None
        self._notes: list[str] = []

    def gather(self, *, strip: bool, progress: Progress, admit: Admit, named: Named) -> None:
        """Each line of evidence on its own: what fails in one does not stop the others."""
        self._tell(types.CREDENTIAL, None)
        self._tell(types.HIDDEN_MARK, None)
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(self._read, None)

            def passing(done: float, whole: float) -> None:
                if reading.done():
                    self._take(reading)
                progress(done, whole)

            self._observe(strip=strip, progress=passing)
            self._take(reading)
        if self._observation is not None:
            admit(self._observation.fingerprint)
        if self._payload is not None:
            named(as_hex(self._payload))
        self._tell(types.HIDDEN_MARK, self._hidden_line())
        self._tell(types.LOG, None)
        self._look_up()
        if self._release is not None:
            self._recover(self._release)
            self._prove(self._release)
        self._check_against()
        if self._manifest_holds():
            self._tell(types.CREDENTIAL, self._credential_line())
        self._tell(types.LOG, self._log_line())

    def _check_against(self) -> None:
        """The checkpoint in our credential, the file's own or the stored one, against the log here."""
        credential = self._credential if self._credential and self._credential.ours else self._stored
        if credential is None or not credential.ours:
            return
        try:
            self._checked = checked.check(credential.release, self._verifier.log_key, self._verifier.lookup)
        except RegistryError as error:
            self._log_failed = True
            self._lost(error)
        if self._checked.state is checked.CheckedState.CONTRADICTED:
            self._log_failed = True
            self._notes.append("The log contradicts the checkpoint in the credential: its history changed.")

    def _observe(self, *, strip: bool, progress: Progress) -> None:
        verifier, detector = self._verifier, None
        if verifier.keys:
            detector = HiddenMarkDetector(verifier.keys, verifier.accepts, self._issued())
        limits = media_limits(verifier.settings)
        try:
            self._observation = observe(self._path, detector, limits, strip=strip, progress=progress)
        except CountermarkError as error:
            self._failure = str(error)

    def _issued(self) -> Issued | None:
        try:
            return self._verifier.issued.current() if self._verifier.issued else None
        except RegistryError as error:
            self._log_failed = True
            self._lost(error)
            return None

    def _read(self, manifest: bytes | None) -> CredentialReading:
        limits = self._verifier.settings.process_limits
        trust, responders = self._verifier.trust, self._verifier.settings.asked_responders
        reading = read_credential(self._path, trust, limits=limits, manifest_bytes=manifest)
        if responders is None:
            return reading
        from pipeline.credentials.revocation import checked as asked_about  # nobody else needs what it loads

        return asked_about(reading, trust, responders, datetime.now(UTC))

    def _take(self, reading: Future[CredentialReading]) -> None:
        """The credential, once it is read; told once."""
        if self._taken:
            return
        self._taken = True
        try:
            self._credential = reading.result()
        except CountermarkError as error:
            self._failure = self._failure or str(error)
        self._tell(types.CREDENTIAL, self._credential_line())

    def _look_up(self) -> None:
        """The release that the hidden mark names, or else the one that our own credential names."""
        lookup, payload = self._verifier.lookup, self._payload
        if lookup is None:
            return
        try:
            if payload is not None:
                self._release = lookup.find(payload=as_hex(payload))
            elif self._credential is not None and self._credential.ours and self._credential.urn:
                self._release = lookup.find(urn=self._credential.urn)
        except RegistryError as error:
            self._log_failed = True
            self._lost(error)

    def _recover(self, release: FoundRelease) -> None:
        """Judge the stored manifest against this file, where it has none of ours."""
        if self._verifier.manifests is None or self._credential is None or self._credential.ours:
            return
        try:
            stored = self._verifier.manifests.check(Area.MANIFESTS, release.manifest_sha256).read_bytes()
            self._stored = self._read(stored)
        except (NotFound, RegistryError, CountermarkError, OSError) as error:
            self._notes.append(f"The stored credential could not be used: {error}")

    def _prove(self, release: FoundRelease) -> None:
        lookup, key = self._verifier.lookup, self._verifier.log_key
        if lookup is None or key is None:
            return
        try:
            self._proof, self._proven = prove(lookup, key, release)
        except RegistryError as error:
            self._lost(error)

    def _lost(self, error: RegistryError) -> None:
        """What the registry did not answer; a wrong proof is an answer."""
        self._registry_failed |= not isinstance(error, ProofInvalid)
        self._notes.append(str(error))

    @property
    def _payload(self) -> int | None:
        detection = self._observation.detection if self._observation else None
        return detection.payload if detection else None

    def _match(self) -> FingerprintMatch | None:
        """What the clip shows against the release, or its fingerprint against that in our own credential.

        Also notes how the clip lies in time, which the visible mark's path needs.
        """
        stored = self._release.fingerprint if self._release else None
        if stored is None and self._credential is not None and self._credential.ours:
            stored = self._credential.fingerprint
        if stored is None or self._observation is None:
            return None
        try:
            compared = compare(self._observation, bytes(stored), marked=self._payload is not None)
        except UsageError as error:
            self._notes.append(str(error))
            return None
        self._alignments = compared.alignments
        if self._release and self._proof and not knows_fingerprint(self._proof, self._release):
            return FingerprintMatch.UNDECIDED  # somebody wrote another one over it
        self._content = compared.content
        return compared.match

    def report(self, *, seconds: float) -> VerificationReport:
        """Judge what was gathered."""
        self._tell(types.VISIBLE_MARK, None)  # where it must be follows from how the clip lies on the release
        observation, credential = self._observation, self._credential
        detection = observation.detection if observation else None
        evidence = {
            types.CREDENTIAL: self._credential_line(), types.HIDDEN_MARK: self._hidden_line(),
            types.LOG: self._log_line(),
        }  # fmt: skip
        match = self._match()
        if self._content is not None:
            evidence[types.HIDDEN_MARK] = words.with_pictures(evidence[types.HIDDEN_MARK], self._content)
        found = verdict(
            Facts(
                readable=observation is not None, credential=credential, payload=self._payload,
                resolves=self._release is not None, fingerprint=match, manifest_holds=self._manifest_holds(),
                mark_present=words.present(detection),
                unchecked=self._unchecked(evidence),
            )
        )  # fmt: skip
        named = names_release(found, match)
        release = self._summary() if named else None
        seen = self._visible(found)
        evidence[types.VISIBLE_MARK] = seen.evidence
        self._tell(types.VISIBLE_MARK, seen.evidence)
        geometry = detection.geometry if detection else None
        return VerificationReport(
            file=safe_text(str(self._path), 1000), verdict=found,
            headline=words.headline(found, self._verifier.settings.service, release, geometry, credential),
            release=release, flags=self._flags(seen, named=named),
            evidence={line: evidence[line] for line in types.LINES}, notes=self._all_notes(),
            media=_media(observation), strip=seen.strip, path=seen.path,
            checked_at=datetime.now(UTC).isoformat(timespec="seconds"), seconds=round(seconds, 3),
            credential=credential, registry_failed=self._registry_failed,
        )  # fmt: skip

    def _credential_line(self) -> Evidence:
        return words.credential_line(
            self._credential, recovered=self._manifest_holds(), stored=self._stored
        )  # fmt: skip

    def _hidden_line(self) -> Evidence:
        observation = self._observation
        detection = observation.detection if observation else None
        return words.hidden_line(detection, failed=observation is None)

    def _log_line(self) -> Evidence:
        seq = self._release.log_seq if self._release else None
        size = self._proof.tree_size if self._proof else None
        return words.log_line(self._log_state(), seq, size, self._checked)

    def _unchecked(self, evidence: dict[str, Evidence]) -> bool:
        # The log can only speak about something: a payload, or a credential of ours.
        asked = {types.CREDENTIAL, types.HIDDEN_MARK} | ({types.LOG} if self._payload is not None else set())
        silent = (EvidenceState.NOT_CHECKED, EvidenceState.FAILED)
        return any(evidence[line].state in silent for line in asked)

    def _manifest_holds(self) -> bool:
        """The stored manifest is ours, names this very payload, and only the content hash may differ."""
        stored = self._stored
        if stored is None or not stored.ours or stored.payload is None or stored.payload != self._payload:
            return False
        return stored.content_hash_only_failure or (stored.hash_ok and not stored.failures)

    def _log_state(self) -> EvidenceState:
        verifier, credential = self._verifier, self._credential
        asked = self._payload is not None or (credential is not None and credential.ours)
        able = verifier.lookup is not None and verifier.log_key is not None
        found = self._release is not None
        if self._checked.state is checked.CheckedState.CONTRADICTED:
            return EvidenceState.FAILED
        return state_of_log(asked=asked and able, failed=self._log_failed, found=found, proven=self._proven)

    def _visible(self, found: FileVerdict) -> visible.VisibleFinding:
        credential = self._credential if self._credential and self._credential.ours else self._stored
        detection = self._observation.detection if self._observation else None
        payload = self._payload
        if payload is None and credential is not None and credential.ours:
            payload = credential.payload
        if self._observation is None or found is FileVerdict.CONFLICT:
            return visible.not_checked("The frames do not belong to a known release.", self._observation)
        if not self._verifier.keys:
            return visible.not_checked(visible.NO_KEYS, self._observation)
        epoch = detection.key_epoch if detection else None
        key = next((key for key in self._verifier.keys if key.epoch == epoch), self._verifier.keys[0])
        geometry = detection.geometry if detection else None
        settings = self._verifier.settings
        texts = (settings.label, settings.service)
        if payload is None and (detection is None or not detection.searched):
            return visible.not_checked(visible.UNSEARCHED, self._observation)
        if payload is None:
            hidden = words.present(detection)
            return visible.look_without_payload(self._observation, key, texts, hidden=hidden)
        if credential is not None and credential.ours:
            mark = (credential.release or {}).get("visible_mark")
            return visible.look(self._observation, geometry, key, payload, mark, alignments=self._alignments)
        if geometry is None:
            return visible.not_checked(visible.UNNAMED, self._observation)
        return visible.look_without_release(self._observation, geometry, key, payload, texts)

    def _summary(self) -> ReleaseSummary | None:
        if self._release is not None:
            return ReleaseSummary(
                id=self._release.release_id, payload=self._release.payload, urn=self._release.urn,
                state=str(self._release.state), published_at=self._release.published_at,
            )  # fmt: skip
        credential = self._credential
        if credential is None or not credential.ours or credential.payload is None:
            return None
        return ReleaseSummary(
            id=None, payload=as_hex(credential.payload), urn=credential.urn, state="unknown",
            published_at=credential.timestamp_time,
        )  # fmt: skip

    def _flags(self, seen: visible.VisibleFinding, *, named: bool) -> tuple[str, ...]:
        """`named`: what is known of the release counts only where the file is said to belong to it."""
        stored = self._stored if named else None
        readings = [reading for reading in (self._credential, stored) if reading is not None]
        flags = {
            types.REVOKED_SIGNER: any(reading.revoked_signer for reading in readings),
            types.LAUNDERED_PARENT: any(reading.laundered_parent for reading in readings),
            types.VISIBLE_MARK_REMOVED: seen.removed,
            types.FORGED_LABEL: seen.forged,
            types.WITHDRAWN_RELEASE: (
                named and self._release is not None and self._release.state == ReleaseState.WITHDRAWN
            ),
        }
        return tuple(name for name, raised in flags.items() if raised)

    def _all_notes(self) -> tuple[str, ...]:
        observed = self._observation.info.notes if self._observation else ()
        failure = (*self._verifier.notes, *((self._failure,) if self._failure else ()))
        pictures = words.pictures_note(self._content)
        return tuple(safe_text(note, 500) for note in (*failure, *self._notes, *pictures, *observed))


def _media(observation: Observation | None) -> Json:
    if observation is None:
        return {}
    info = observation.info
    return {
        "width": info.width, "height": info.height, "seconds": info.duration, "frames": info.frame_count,
        "frame_rate": None if info.frame_rate is None else round(float(info.frame_rate), 3),
        "codec": info.codec, "container": info.container, "sound": info.audio is not None,
        "bytes": info.size_bytes,
    }  # fmt: skip
