"""A prompt, or a clip made elsewhere, becomes a release; what is recorded does not run again.

The steps, and the boundaries at which a crash may fall:
1. gate      what is asked for is judged, with what comes before and after it (`pipeline.entrance`); anything
             but allow ends here, before a model draws
2. generate  a clip is made from the prompt, and what it is to begin with (`pipeline.drawing`); or
   accept    the clip is copied into the home, named by its digest
   preview   what a frame shows that is looked at while the clip is made, where that ends the job here
             (`pipeline.previewing`)
   inbound   own credentials and our marks in it, and in what it was made from, are judged, before anything
             is drawn from that (`release.inbound`)
3. reserve   a payload and a manifest name that were never used before
4. survey    from an excerpt: strength of the hidden mark, path of the visible one, any sound
5. look      frames, regions and faces of the clip become vectors
   listen    sound that stays is written down as text, where a speech model is set
6. decide    every check compares prompt and clip with the registry as it is; anything but allow ends here
7. mark/n    visible mark, hidden mark, H.264
8. inspect/n our own mark is read from the encoded file; a miss is marked again at full strength, then held
9. sign      content credential with both soft bindings and a time-stamp
10. reread   another process reads the signed file as anybody would
11. store    file and manifest lie in the held area, durable
12. publish  the fence: log, decision and release in one transaction (its own record), or the clip is held
13. place    the file moves to the released area

A job whose hold was lifted is judged anew: gate, decide and what follows from the decision (sign, reread,
store, publish, place) carry the number of lifted holds in their names, so that nothing old is replayed; what
was drawn, looked at and marked is not done again. One whose signer is revoked before it is published is
signed again (`pipeline.resigning`). Where nothing but holders' wishes to be asked holds a job,
they are asked in the transaction of the hold (`registry.permissions`). A tester's job ends after 8.
"""

import base64
import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from pipeline import judging
from pipeline import policy as policies
from pipeline.credentials.manifest import Agent, new_urn
from pipeline.drawing import SALT_BYTES, Drawing
from pipeline.entrance import Entrance
from pipeline.errors import Refused
from pipeline.previewing import STEP as PREVIEW
from pipeline.previewing import StoppedEarly
from pipeline.recheck import Question
from pipeline.release import credential, inbound, inspection, labelling, strength
from pipeline.release import facts as release_facts
from pipeline.release.marking import MarkRequest, layout_of, mark_clip, style_of, survey
from pipeline.resigning import SigningRun
from pipeline.types import Json, Verdict
from pipeline.types import Reason as OurReason
from pipeline.workbench import (
    PRODUCT,
    Observer,
    Outcome,
    Workbench,
    note_signer,
    reason_json,
    reason_of,
)
from registry import apikeys, holds, permissions, releases
from registry.counter import reserve_payload_counter
from registry.db import read
from registry.holds import AlsoHeld
from registry.looks import READING
from registry.store import Area
from registry.types import Candidate, Held, Job, JobState, Parent
from watermark.carrier import Strength
from watermark.detector import HiddenMarkDetector
from watermark.keys import DetectionKey
from watermark.payload import as_hex

GUARD: Final = "guard/2"
CREATE: Final = "create/1"
KINDS: Final = (GUARD, CREATE)
MAX_TRIES: Final = 2  # of marking: as surveyed, then at the strongest


class ReleaseRun(SigningRun):
    """One job of either kind."""

    def __init__(self, bench: Workbench, job: Job, observer: Observer) -> None:
        super().__init__(bench, job, observer)
        self._judge = judging.Judge(bench, job.inputs, self._staging)
        self._generated = job.kind == CREATE or "maker" in self._inputs
        key = apikeys.get(bench.engine, str(job.inputs["key"])) if job.inputs["key"] else None
        self._tester = key is not None and key.tester

    def _run(self) -> Outcome:
        if PREVIEW in self._inputs:  # one that was recorded and not ended: it is no clip
            raise Refused("the call that a preview was made for is over; nothing of it is released")
        with read(self._bench.engine) as conn:
            self._lifted = holds.lifted(conn, self._job.id)
        entered = Entrance(
            self._bench, self._inputs, self._judge, self._staging, self._limits, self._step, self._again
        ).run()
        if entered.stopped:
            return self._stop_at_gate(entered.stopped)
        drawn = self._job.kind == CREATE
        brought = self._brought(None) if drawn else {}  # before a model works for minutes
        try:
            origin = self._begun(entered.negative)
        except StoppedEarly as stopped:
            told = stopped.told
            found = self._step(PREVIEW, lambda: told)
            return self._stop(found["decision"], found["decision"]["reasons"], found["file"])
        source = self._staging.path(origin["file"])
        if not drawn:
            brought = self._brought(None if self._generated else origin["file"])
        reserved = self._step("reserve", self._reserve)
        surveyed = self._step("survey", lambda: self._survey(source, reserved))
        look = self._step("look", lambda: self._judge.look(source, self._limits, self._progress("look")))
        made_from, heard = inbound.parents(brought), self._heard(source, surveyed)
        looks = entered.seen(look, heard)
        decide = partial(self._judge.decide, looks, made_from, has_sound=surveyed["sound"], heard=heard)
        decision = self._again("decide", decide)
        if decision["verdict"] != Verdict.ALLOW:
            return self._stop(decision, decision["reasons"], origin["file"])
        marked, seen = self._mark_until_seen(origin, brought, reserved, surveyed)
        if not seen["found"]:
            return self._stop(decision, [release_facts.missed()])
        if self._tester:  # the whole chain has run; what would make it a release does not
            return self._stop(decision, [release_facts.never_published()])
        facts = self._facts(origin, decision, entered.rewrite, brought)
        sign = partial(self._sign, origin, facts, brought, decision, reserved, surveyed, marked, seen)
        signed, reread = self._signed_and_stored(self._again, sign, int(reserved["payload"], 16))
        question = self._question(looks, decision, made_from)
        candidate = self._candidate(
            question, facts, reserved, surveyed, seen, signed, reread["verdict"], made_from
        )
        # Not a recorded step: the fence is its own record, and a job that it holds takes no more of them.
        publish = partial(self._publish, candidate, question, origin["file"], signed)
        published = self._step("publish", publish, recorded=False)
        if published["held"]:
            return self._stop(decision, published["held"], logged=True)  # by the fence
        self._again("place", lambda: self._place(published))
        return self._released(decision, published["release"])

    def _again(self, name: str, work: Callable[[], Json]) -> dict[str, Any]:
        """A step that runs again after every hold that was lifted."""
        return self._step(f"{name}/{self._lifted}" if self._lifted else name, work)

    def _heard(self, source: Path, surveyed: dict[str, Any]) -> dict[str, Any]:
        """What is said in the clip, which becomes one of its texts; empty where nothing is to be heard."""
        stripped = self._inputs["sound"] == policies.Sound.STRIP
        if not surveyed["sound"] or stripped or not self._bench.settings.speech_model:
            return {}
        heard = self._step("listen", lambda: self._judge.listen(source, self._limits))
        self._judge.texts = replace(self._judge.texts, speech=heard["text"] or "")
        return heard

    def _stop_at_gate(self, decision: dict[str, Any]) -> Outcome:
        """End here; a clip that may go on once somebody has looked at it is taken in now: it may go away."""
        preview = ""
        if decision["verdict"] == Verdict.REVIEW and self._job.kind == GUARD and not self._tester:
            preview = str(self._step("accept", self._accept)["file"])
        return self._stop(decision, decision["reasons"], preview)

    def _begun(self, negative: str) -> dict[str, Any]:
        """The clip. Raises: StoppedEarly where a frame on the way shows what the policy stops."""
        if self._job.kind != CREATE:
            return self._step("accept", self._accept)
        drawing = Drawing(
            self._bench, self._inputs, self._judge, self._staging, self._limits, self._progress("generate")
        )
        # A tester's job runs the whole chain.
        return drawing.run(self._step, negative, self._lifted, looks=not self._tester)

    def _accept(self) -> Json:
        inputs = self._inputs
        name = self._staging.take_in(Path(inputs["source"]), inputs["sha256"], ".input")
        maker = inputs.get("maker")
        made: Json = {} if maker is None else {
            "generator": maker["name"], "version": maker["version"], "salt": secrets.token_hex(SALT_BYTES)
        }  # fmt: skip
        return {"file": name, "sha256": inputs["sha256"], **made}

    def _brought(self, imported: str | None) -> dict[str, Any]:
        """What the files bring along that the clip is made from; empty where there are none."""
        given = inbound.given_files(self._inputs, self._staging, imported)
        return self._step("inbound", partial(self._judge_given, given)) if given else {}

    def _judge_given(self, files: Sequence[inbound.GivenFile]) -> Json:
        bench = self._bench
        desk = inbound.Desk(
            engine=bench.engine, staging=self._staging, trust=credential.keys_now(bench.settings).trust,
            keys=bench.keyring.detection, accepts=bench.keyring.mint.accepts,
            processes=bench.settings.process_limits, media=self._limits,
        )  # fmt: skip
        return inbound.judge(files, desk)

    def _reserve(self) -> Json:
        counter = reserve_payload_counter(self._bench.engine)
        keyring = self._bench.keys.now()  # after the counter was reserved: see `keyring.rotate_minting`
        return {
            "payload": as_hex(keyring.mint.issue(counter)), "urn": new_urn(),
            "created_at": self._bench.clock(), "epoch": keyring.current.epoch,
        }  # fmt: skip

    def _key(self, reserved: dict[str, Any]) -> DetectionKey:
        """The key that the clip is marked with: that of the epoch in which its payload was reserved."""
        return self._bench.keyring.of_epoch(reserved.get("epoch"))

    def _survey(self, source: Path, reserved: dict[str, Any]) -> Json:
        inputs, key = self._inputs, self._key(reserved)
        payload = int(reserved["payload"], 16)
        found = survey(source, self._limits, key, payload, inputs)
        return {"strength": asdict(found.strength), "variant": found.variant, "sound": found.sound}

    def _mark_until_seen(
        self, origin: dict[str, Any], brought: dict[str, Any], reserved: dict[str, Any],
        surveyed: dict[str, Any],
    ) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
        labels = labelling.Labels(inputs=self._inputs, origin=origin, brought=brought, reserved=reserved)
        for attempt in range(1, MAX_TRIES + 1):
            level = Strength(**surveyed["strength"]) if attempt == 1 else strength.STRONGEST
            mark = partial(self._mark, self._staging.path(origin["file"]), labels, reserved, surveyed, level)
            marked = self._step(f"mark/{attempt}", mark)
            seen = self._step(f"inspect/{attempt}", partial(self._inspect, marked, reserved, surveyed))
            if seen["found"]:
                break
        return marked, seen

    def _mark(
        self, source: Path, labels: labelling.Labels, reserved: dict[str, Any], surveyed: dict[str, Any],
        level: Strength,
    ) -> Json:  # fmt: skip
        inputs = self._inputs  # not the settings: those may have changed since an interruption
        request = MarkRequest(
            payload=int(reserved["payload"], 16), key=self._key(reserved),
            variant=surveyed["variant"], strength=level, label=inputs["label"], handle=inputs["service"],
            style=style_of(inputs),
            crf=inputs["crf"], preset=self._bench.settings.preset,
            sound=inputs["sound"] != policies.Sound.STRIP, metadata=labels.metadata(),
        )  # fmt: skip
        target, picture = self._staging.draft("marking.mp4"), self._staging.draft("thumbnail")
        marked = mark_clip(source, target, request, self._limits, self._progress("mark"))
        labels.append(target)
        picture.write_bytes(marked.thumbnail)
        return {
            "file": self._staging.keep(target, ".mp4"), "thumbnail": self._staging.keep(picture, ".jpg"),
            "width": marked.info.width, "height": marked.info.height, "padded": marked.info.padded,
            "psnr": round(marked.psnr, 2) if math.isfinite(marked.psnr) else None,
            "strength": asdict(level), "notes": list(marked.info.notes),
        }  # fmt: skip

    def _inspect(self, marked: dict[str, Any], reserved: dict[str, Any], surveyed: dict[str, Any]) -> Json:
        key, payload, inputs = self._key(reserved), int(reserved["payload"], 16), self._inputs
        layout = layout_of(key, payload, inputs, surveyed, marked)
        detector = HiddenMarkDetector([key], self._bench.keyring.mint.accepts)
        file, progress = self._staging.path(marked["file"]), self._progress("inspect")
        return inspection.inspect(file, detector, layout, self._limits, progress).to_json(payload)

    def _sign(
        self, origin: dict[str, Any], facts: Json, brought: dict[str, Any], decision: dict[str, Any],
        reserved: dict[str, Any], surveyed: dict[str, Any], marked: dict[str, Any], seen: dict[str, Any],
    ) -> Json:  # fmt: skip
        settings, pki = self._bench.settings, credential.keys_now(self._bench.settings)
        visible: Json = {
            "variant": surveyed["variant"], "width": marked["width"], "height": marked["height"],
            "label": self._inputs["label"], "handle": self._inputs["service"],
            **({"style": self._inputs["style"]} if "style" in self._inputs else {}),
        }  # fmt: skip
        request = credential.SignRequest(
            urn=reserved["urn"], payload=int(reserved["payload"], 16),
            fingerprint=base64.b64decode(seen["fingerprint"]),
            thumbnail=self._staging.path(marked["thumbnail"]).read_bytes(), created_at=reserved["created_at"],
            product=Agent(name=PRODUCT, version=self._bench.version),
            release={
                **release_facts.asserted(decision), "payload": reserved["payload"], "visible_mark": visible,
                "made_from": inbound.told(brought), "log": release_facts.checked_against(
                    self._bench.engine, self._bench.keyring.log_key.origin, decision["registry_seq"]
                ),
            },
            origin=inbound.origin_of(origin, facts, brought, self._staging),
        )  # fmt: skip
        document = credential.definition(request)
        target = self._staging.draft("signing.mp4")
        with credential.time_stamps(pki, settings.tsa_url, datetime.now(UTC)) as service:
            signed = credential.sign(self._staging.whole(marked["file"]), target, document, pki, service)
        manifest = self._staging.draft("manifest")
        manifest.write_bytes(signed.manifest_bytes)
        return {
            "file": self._staging.keep(target, ".mp4"), "manifest": self._staging.keep(manifest, ".c2pa"),
            "file_sha256": signed.file_sha256, "manifest_sha256": signed.manifest_sha256, "urn": signed.urn,
            "timestamped_at": signed.timestamp_time.replace("+00:00", "Z"),
            "signer_sha256": signed.signer_cert_sha256,
        }  # fmt: skip

    def _facts(
        self, origin: dict[str, Any], decision: dict[str, Any], rewrite: Json, brought: dict[str, Any]
    ) -> Json:
        more: Json = {READING: self._judge.reading(), "rewrite": rewrite, PREVIEW: origin.get(PREVIEW)}
        texts = self._judge.texts
        told = release_facts.stored(self._job, texts, origin, decision, brought)
        return told | {name: value for name, value in more.items() if value}

    def _question(
        self, looks: Sequence[dict[str, Any]], decision: dict[str, Any], made_from: Sequence[Parent]
    ) -> Question:
        return Question(
            policy=policies.preset(self._inputs["policy"]), decision=policies.from_json(decision),
            sight=self._judge.sight(looks), account=self._inputs["account"], key=self._inputs["key"],
            wishes=self._judge.wish, ask=self._judge.ask, uses=self._judge.uses,
            parents=self._judge.ancestors(made_from), prompted=self._judge.texts.prompt is not None,
        )  # fmt: skip

    def _candidate(
        self, question: Question, facts: Json, reserved: dict[str, Any], surveyed: dict[str, Any],
        seen: dict[str, Any], signed: dict[str, Any], verdict: str, made_from: Sequence[Parent],
    ) -> Candidate:  # fmt: skip
        return Candidate(
            job_id=self._job.id, owner=self._job.owner, payload=reserved["payload"], urn=signed["urn"],
            file_sha256=signed["file_sha256"], manifest_sha256=signed["manifest_sha256"],
            visible_variant=surveyed["variant"], mark_log10_chance=seen["log10_chance"],
            detected_payload=seen["payload"], signer_sha256=signed["signer_sha256"],
            timestamped_at=signed["timestamped_at"], reread_verdict=verdict,
            fingerprint=inspection.stored(seen), decision=question.decision, facts=facts,
            sight=self._bench.sealer.rows(question.sight), parents=tuple(made_from),
        )  # fmt: skip

    def _publish(
        self, candidate: Candidate, question: Question, preview: str, signed: dict[str, Any]
    ) -> Json:
        self._demand_believed(signed)
        bench, signer = self._bench, note_signer(self._bench.keyring)
        made = releases.publish(
            bench.engine, candidate, judging.Fence(question, bench, self._judge.texts), now=bench.clock(),
            sign_checkpoint=signer, also_held=self._asking(preview),
        )  # fmt: skip
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

    def _stop(
        self, decision: dict[str, Any], reasons: Sequence[Json], preview: str = "", *, logged: bool = False
    ) -> Outcome:
        """End the job; what ended it becomes a decision in the log, unless it is there already (`logged`)."""
        blocked = decision["verdict"] == Verdict.BLOCK
        made = policies.from_json(decision)
        if made.verdict is Verdict.ALLOW:  # something after the checks stopped it
            told = tuple(OurReason(**asdict(reason_of(reason))) for reason in reasons)
            made = replace(made, verdict=Verdict.REVIEW, reasons=told)
        # Nobody has to look at what a tester asked for, and nobody may lift it.
        state = JobState.REFUSED if blocked or self._tester else JobState.HELD
        return self._ended(state, decision, reasons, None if logged else made, self._asking(preview))

    def _count(self, reasons: Sequence[Json]) -> None:
        """A tester's attempts say nothing about how often something matches by mistake."""
        if not self._tester:
            super()._count(reasons)

    def _asking(self, preview: str) -> AlsoHeld:
        """Asks the holders, in the transaction of a hold that nothing but their wishes makes."""
        if self._tester:
            return holds.nothing_more
        bench, inputs = self._bench, self._inputs
        request = permissions.Request(
            account=inputs["account"], purpose=inputs.get("use", {}).get("purpose", ""),
            prompt="\n".join(self._judge.texts.all), preview=preview,
            days=bench.settings.ask_days,
        )  # fmt: skip

        def also(conn: Connection, held: Held) -> None:
            permissions.ask(conn, held, request, now=bench.clock(), signer=note_signer(bench.keyring))

        return also
