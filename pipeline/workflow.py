"""A clip made elsewhere becomes a release, step by step; what is recorded does not run again.

The steps, and the boundaries at which a crash may fall:
1. accept    the clip is copied into the home, named by its digest; its own credential is judged
2. reserve   a payload and a manifest name that were never used before
3. survey    from an excerpt: strength of the hidden mark, path of the visible one, any sound
4. decide    the policy judges; anything but allow ends here
5. mark/n    visible mark, hidden mark, H.264
6. inspect/n our own mark is read from the encoded file; a miss is marked again at full strength, then held
7. sign      content credential with both soft bindings and a time-stamp
8. reread    another process reads the signed file as anybody would
9. store     file and manifest lie in the held area, durable
10. publish  the fence: log, decision and release in one transaction (its own record), or the clip is held
11. place    the file moves to the released area
"""

import base64
import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

from pipeline import policy as policies
from pipeline.credentials.labels import AigcLabel, aigc_metadata
from pipeline.credentials.manifest import Agent, new_urn
from pipeline.credentials.pki import Pki
from pipeline.errors import CountermarkError, SigningFailed
from pipeline.keyring import Keyring
from pipeline.media.limits import media_limits
from pipeline.release import credential, strength
from pipeline.release.inspection import inspect
from pipeline.release.marking import MarkRequest, mark_clip, survey
from pipeline.release.staging import Staging, failures
from pipeline.settings import Settings
from pipeline.types import Decision, Json, Verdict
from registry import log, releases
from registry.checkpoint import NoteSigner, ed25519_key_id
from registry.counter import reserve_payload_counter
from registry.db import read
from registry.errors import JobNotOwned, RegistryBusy, RegistryError
from registry.jobs import LocalJobs
from registry.store import Area, FileStore
from registry.types import Candidate, Change, Held, Job, JobState, Reason, Release
from watermark.carrier import Strength
from watermark.detector import HiddenMarkDetector
from watermark.errors import WatermarkError
from watermark.payload import PayloadCodec, as_hex

KIND: Final = "guard/1"
PRODUCT: Final = "Countermark"
MAX_TRIES: Final = 2  # of marking: as surveyed, then at the strongest
MARK_MISSED: Final = "hidden_mark_missed"

Observer = Callable[[str, str, float], None]
"""Told (step, "begin" | "progress" | "end", seconds of clip, or seconds taken at the end)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """Everything a guard job works with; `pipeline.app` puts it together. `version`: of this program."""

    settings: Settings
    engine: Engine
    store: FileStore
    jobs: LocalJobs
    keyring: Keyring
    pki: Pki
    clock: Callable[[], str]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended. `stages`: seconds of each step that ran now; `file`: the released file in the home."""

    job: Job
    decision: Json | None
    release: Release | None
    held: tuple[Json, ...]
    stages: dict[str, float]
    file: Path | None


class GuardRun:
    """One job, from wherever it stands to its end."""

    def __init__(self, bench: Workbench, job: Job, observer: Observer) -> None:
        self._bench, self._job, self._observer = bench, job, observer
        self._inputs: dict[str, Any] = job.inputs
        self._stages: dict[str, float] = {}
        self._staging = Staging(bench.store, job.id)
        self._limits = media_limits(bench.settings)
        self._codec = PayloadCodec(bench.keyring.minting)

    def run(self) -> Outcome:
        """Go through the steps that are not recorded yet.

        A clip that cannot be read or marked ends the job as failed. A signature that could not be had
        leaves it open: the next command on this home tries again. Raises: the error, in both cases.
        """
        try:
            return self._run()
        except (SigningFailed, KeyboardInterrupt):
            with contextlib.suppress(RegistryError):  # else its lock goes with this process
                self._bench.jobs.abandon(self._job)
            raise
        except (JobNotOwned, RegistryBusy):
            raise  # the job is another process's to end, or the next command's
        except (CountermarkError, RegistryError, WatermarkError) as error:
            self._fail(error)
            raise

    def _fail(self, error: CountermarkError | RegistryError | WatermarkError) -> None:
        code = "watermark" if isinstance(error, WatermarkError) else type(error).code
        with contextlib.suppress(RegistryError):  # then the job stays open, and the next command ends it
            self._bench.store.clean(self._job.id)  # first: a full disk needs the room to record anything
            self._bench.jobs.finish(self._job, JobState.FAILED, {"error": code, "message": str(error)})

    def _run(self) -> Outcome:
        accepted = self._step("accept", self._accept)
        source = self._staging.path(accepted["file"])
        reserved = self._step("reserve", self._reserve)
        surveyed = self._step("survey", lambda: self._survey(source, reserved))
        decision = self._step("decide", lambda: self._decide(has_sound=surveyed["sound"]))
        if decision["verdict"] != Verdict.ALLOW:
            return self._stop(decision, decision["reasons"])
        marked, seen = self._mark_until_seen(source, reserved, surveyed)
        if not seen["found"]:
            return self._stop(decision, [_missed()])
        signed = self._step("sign", lambda: self._sign(accepted, decision, reserved, surveyed, marked, seen))
        reread = self._step("reread", lambda: self._reread(signed, reserved))
        self._step("store", lambda: self._store(signed))
        candidate = self._candidate(decision, reserved, surveyed, seen, signed, reread["verdict"])
        # Not a recorded step: the fence is its own record, and a job that it holds takes no more of them.
        publish = partial(self._publish, candidate, policies.from_json(decision))
        published = self._step("publish", publish, recorded=False)
        if published["held"]:
            return self._stop(decision, published["held"])
        self._step("place", lambda: self._place(published))
        return self._released(decision, published["release"])

    def _step(self, name: str, work: Callable[[], Json], *, recorded: bool = True) -> dict[str, Any]:
        began = time.monotonic()
        ran = False

        def observed() -> Json:
            nonlocal ran
            ran = True
            self._observer(name, "begin", 0.0)
            with failures():
                return work()

        result = self._bench.jobs.step(self._job, name, observed) if recorded else observed()
        if ran:
            self._stages[name] = round(time.monotonic() - began, 4)
            self._observer(name, "end", self._stages[name])
        assert isinstance(result, dict)  # noqa: S101 - every step of this module answers an object
        return result

    def _progress(self, name: str) -> Callable[[float], None]:
        return lambda seconds: self._observer(name, "progress", seconds)

    def _accept(self) -> Json:
        inputs = self._inputs
        name = self._staging.take_in(Path(inputs["source"]), inputs["sha256"], ".input")
        limits = self._bench.settings.process_limits
        parent = credential.judge_parent(self._staging.path(name), self._bench.pki, limits)
        return {"file": name, "parent": self._keep_parent(parent)}

    def _keep_parent(self, archive: bytes | None) -> str | None:
        if archive is None:
            return None
        path = self._staging.path("parent")
        path.write_bytes(archive)
        return self._staging.keep(path, ".ingredient")

    def _decide(self, *, has_sound: bool) -> Json:
        with read(self._bench.engine) as conn:
            seen = log.registry_seq(conn)
        decision = policies.decide(
            policies.preset(self._inputs["policy"]), policies.not_configured(),
            sound=policies.Sound(self._inputs["sound"]), has_sound=has_sound,
            registry_seq=seen, now=self._bench.clock(),
        )  # fmt: skip
        return policies.to_json(decision)

    def _reserve(self) -> Json:
        counter = reserve_payload_counter(self._bench.engine)
        return {
            "payload": as_hex(self._codec.issue(counter)),
            "urn": new_urn(),
            "created_at": self._bench.clock(),
        }

    def _survey(self, source: Path, reserved: dict[str, Any]) -> Json:
        inputs, key = self._inputs, self._bench.keyring.current
        payload = int(reserved["payload"], 16)
        found = survey(source, self._limits, key, payload, inputs["label"], inputs["service"])
        return {"psnr": found.strength.psnr, "variant": found.variant, "sound": found.sound}

    def _mark_until_seen(
        self, source: Path, reserved: dict[str, Any], surveyed: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        for attempt in range(1, MAX_TRIES + 1):
            level = Strength(psnr=surveyed["psnr"]) if attempt == 1 else strength.STRONGEST
            mark = partial(self._mark, source, reserved, surveyed, level)
            marked = self._step(f"mark/{attempt}", mark)
            seen = self._step(f"inspect/{attempt}", partial(self._inspect, marked, reserved))
            if seen["found"]:
                break
        return marked, seen

    def _mark(
        self, source: Path, reserved: dict[str, Any], surveyed: dict[str, Any], level: Strength
    ) -> Json:
        inputs = self._inputs  # not the settings: those may have changed since an interruption
        request = MarkRequest(
            payload=int(reserved["payload"], 16), key=self._bench.keyring.current,
            variant=surveyed["variant"], strength=level, label=inputs["label"], handle=inputs["service"],
            crf=inputs["crf"], preset=self._bench.settings.preset,
            sound=inputs["sound"] != policies.Sound.STRIP,
            metadata=aigc_metadata(
                label=AigcLabel.GENERATED, propagator=inputs["service"], propagate_id=reserved["payload"]
            ),
        )  # fmt: skip
        target, picture = self._staging.path("marking.mp4"), self._staging.path("thumbnail")
        marked = mark_clip(source, target, request, self._limits, self._progress("mark"))
        picture.write_bytes(marked.thumbnail)
        return {
            "file": self._staging.keep(target, ".mp4"), "thumbnail": self._staging.keep(picture, ".jpg"),
            "width": marked.info.width, "height": marked.info.height, "padded": marked.info.padded,
            "psnr": round(marked.psnr, 2) if math.isfinite(marked.psnr) else None,
            "strength": level.psnr, "notes": list(marked.info.notes),
        }  # fmt: skip

    def _inspect(self, marked: dict[str, Any], reserved: dict[str, Any]) -> Json:
        detector = HiddenMarkDetector([self._bench.keyring.current], self._codec.accepts)
        seen = inspect(self._staging.path(marked["file"]), detector, self._limits, self._progress("inspect"))
        found = seen.detection.payload
        return {
            "found": found == int(reserved["payload"], 16),
            "payload": None if found is None else as_hex(found),
            "log10_chance": round(seen.detection.log10_chance, 2),
            "fingerprint": base64.b64encode(seen.fingerprint.to_bytes()).decode(),
            "frames": seen.frames, "seconds": round(seen.seconds, 3),
        }  # fmt: skip

    def _sign(
        self, accepted: dict[str, Any], decision: dict[str, Any], reserved: dict[str, Any],
        surveyed: dict[str, Any], marked: dict[str, Any], seen: dict[str, Any],
    ) -> Json:  # fmt: skip
        settings, pki = self._bench.settings, self._bench.pki
        visible: Json = {
            "variant": surveyed["variant"], "width": marked["width"], "height": marked["height"],
            "label": self._inputs["label"], "handle": self._inputs["service"],
        }  # fmt: skip
        request = credential.SignRequest(
            urn=reserved["urn"], payload=int(reserved["payload"], 16),
            fingerprint=base64.b64decode(seen["fingerprint"]),
            thumbnail=self._staging.path(marked["thumbnail"]).read_bytes(), created_at=reserved["created_at"],
            product=Agent(name=PRODUCT, version=self._bench.version),
            release={
                "payload": reserved["payload"], "policy": decision["policy"],
                "policy_version": decision["policy_version"], "checks": decision["checks"],
                "checked_seq": decision["registry_seq"], "visible_mark": visible,
            },
            imported_name=self._inputs["name"], imported_sha256=self._inputs["sha256"],
            parent=self._staging.whole(accepted["parent"]).read_bytes() if accepted["parent"] else None,
        )  # fmt: skip
        document = credential.definition(request)
        target = self._staging.path("signing.mp4")
        with credential.time_stamps(pki, settings.tsa_url, datetime.now(UTC)) as service:
            signed = credential.sign(self._staging.whole(marked["file"]), target, document, pki, service)
        manifest = self._staging.path("manifest")
        manifest.write_bytes(signed.manifest_bytes)
        return {
            "file": self._staging.keep(target, ".mp4"), "manifest": self._staging.keep(manifest, ".c2pa"),
            "file_sha256": signed.file_sha256, "manifest_sha256": signed.manifest_sha256, "urn": signed.urn,
            "timestamped_at": signed.timestamp_time.replace("+00:00", "Z"),
            "signer_sha256": signed.signer_cert_sha256,
        }  # fmt: skip

    def _reread(self, signed: dict[str, Any], reserved: dict[str, Any]) -> Json:
        file, limits = self._staging.path(signed["file"]), self._bench.settings.process_limits
        payload = int(reserved["payload"], 16)
        return {"verdict": credential.reread(file, self._bench.pki, payload, limits)}

    def _store(self, signed: dict[str, Any]) -> Json:
        store = self._bench.store
        store.put(Area.MANIFESTS, self._staging.path(signed["manifest"]), sha256=signed["manifest_sha256"])
        store.put(Area.HELD, self._staging.path(signed["file"]), sha256=signed["file_sha256"])
        return {"stored": True}

    def _candidate(
        self, decision: dict[str, Any], reserved: dict[str, Any], surveyed: dict[str, Any],
        seen: dict[str, Any], signed: dict[str, Any], verdict: str,
    ) -> Candidate:  # fmt: skip
        return Candidate(
            job_id=self._job.id, payload=reserved["payload"], urn=signed["urn"],
            file_sha256=signed["file_sha256"], manifest_sha256=signed["manifest_sha256"],
            visible_variant=surveyed["variant"], mark_log10_chance=seen["log10_chance"],
            detected_payload=seen["payload"], signer_sha256=signed["signer_sha256"],
            timestamped_at=signed["timestamped_at"], reread_verdict=verdict,
            fingerprint=base64.b64decode(seen["fingerprint"]), decision=policies.from_json(decision),
            facts={"prompt": self._inputs["prompt"], "source_sha256": self._inputs["sha256"]},
        )  # fmt: skip

    def _publish(self, candidate: Candidate, decision: Decision) -> Json:
        policy = policies.preset(self._inputs["policy"])

        def recheck(changes: Sequence[Change]) -> Decision:
            return policies.recheck(policy, decision, len(changes), now=self._bench.clock())

        signer = note_signer(self._bench.keyring)
        made = releases.publish(
            self._bench.engine, candidate, recheck, now=self._bench.clock(), sign_checkpoint=signer
        )
        if isinstance(made, Held):
            return {"held": [reason_json(reason) for reason in made.reasons]}
        return {"held": [], "release": made.id, "file_sha256": made.file_sha256}

    def _place(self, published: dict[str, Any]) -> Json:
        self._bench.store.move(published["file_sha256"], Area.HELD, Area.RELEASED)
        return {"placed": True}

    def _released(self, decision: dict[str, Any], release_id: str) -> Outcome:
        release = releases.get(self._bench.engine, release_id)
        assert release is not None  # noqa: S101 - it was published above
        result: Json = {"release": release_id, "decision": decision}
        job = self._bench.jobs.finish(self._job, JobState.RELEASED, result)
        self._bench.store.clean(self._job.id)
        return Outcome(
            job=job, decision=decision, release=release, held=(), stages=self._stages,
            file=self._bench.store.find(Area.RELEASED, release.file_sha256),
        )  # fmt: skip

    def _stop(self, decision: dict[str, Any], reasons: Sequence[Json]) -> Outcome:
        """Hold or refuse; what was staged for a held job stays, since it may go on later."""
        blocked = decision["verdict"] == Verdict.BLOCK
        state = JobState.REFUSED if blocked else JobState.HELD
        told = [
            Reason(**{name: str(reason[name]) for name in ("code", "check", "detail")}) for reason in reasons
        ]
        result: Json = {"decision": decision, "reasons": list(reasons)}
        job = self._bench.jobs.finish(self._job, state, result, reasons=told)
        if blocked:
            self._bench.store.clean(self._job.id)
        return Outcome(
            job=job, decision=decision, release=None, held=tuple(reasons), stages=self._stages, file=None
        )


def note_signer(keyring: Keyring) -> NoteSigner:
    """Who signs the log's checkpoints."""
    key = keyring.log_key
    return NoteSigner(
        origin=key.origin, name=key.name, key_id=ed25519_key_id(key.name, key.public), sign=keyring.sign_log
    )


def _missed() -> Json:
    detail = (
        "The hidden mark could not be read from the encoded clip, also at full strength; use a longer clip."
    )
    return {"code": MARK_MISSED, "check": "hidden_mark", "detail": detail}


def reason_json(reason: Reason) -> Json:
    """A reason as a job's result records it and a command prints it."""
    return {"code": reason.code, "check": reason.check, "detail": reason.detail}
