"""The judging half of the demo: opt-outs over HTTP, and what they stop, before, during and after."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.cli import demo_cast as cast
from pipeline.cli import output
from pipeline.cli.demo_server import Answer, Client

CHARACTER: Final = "Nubbin Frostwick"
LATER: Final = "Quillamoor"
EARLIER: Final = "Quillamoor dancing in a forest"
SLIPPING: Final = "Frostwick the penguin walking in the snow"
HARMLESS: Final = "a green frog waving in a forest by day"
RECALL_SECONDS: Final = 60.0
SEED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One act of the story: what happens, what must come of it, and how it is done."""

    name: str
    expected: str
    story: str
    play: Callable[["Story"], str]


class Story:
    """The story's folder and its client. `released`: where the harmless clip comes to lie."""

    def __init__(self, folder: Path, client: Client) -> None:
        self.folder, self._client = folder, client
        self.released, self._earlier = folder / "released.mp4", ""

    def earlier_release(self) -> str:
        """A clip of a character nobody has registered yet."""
        job = self._made(EARLIER)
        self._earlier = (job["release"] or {}).get("file", "")
        return _told(job)

    def opt_out(self, name: str, kind: str, pictures: list[Path]) -> str:
        """An owner says no, over HTTP, with pictures and without a description."""
        fields = {"kind": kind, "name": name}
        answer = self._client.post_form("/v1/optouts", fields, "references", pictures)
        if answer.status != 201:
            return _problem(answer)
        output.say(f"  in force, registry sequence {answer.document['seq']}: refused from the next request")
        return str(answer.document["state"])

    def character_opts_out(self) -> str:
        """The owner of the penguin."""
        return self.opt_out(CHARACTER, "character", cast.pictures(CHARACTER, self.folder / "penguin"))

    def refused_by_name(self) -> str:
        """The very next request names it, a little disguised."""
        return self._create(f"{CHARACTER.upper().replace('O', '0')} rides a bicycle through the snow")

    def refused_by_pictures(self) -> str:
        """The name is left out; the words say what the registered pictures show."""
        return self._create(cast.description(CHARACTER))

    def held_by_frames(self) -> str:
        """Half of the name and a word of the looks: too little for the gate, enough for the model."""
        return self._create(SLIPPING)

    def person_opts_out(self) -> str:
        """A person, with one portrait."""
        return self.opt_out(cast.PERSON, "person", [cast.portrait(self.folder / "person")])

    def person_refused_by_name(self) -> str:
        """Her name in a prompt."""
        return self._create(f"{cast.PERSON} sings in a talent show")

    def person_held_by_face(self) -> str:
        """Her face in a clip, moved and relit."""
        clip = cast.portrait_clip(self.folder / "person.mp4")
        return _told(self._guard(clip, "somebody in an orange suit smiles"))

    def recalled(self) -> str:
        """The owner of the owl opts out now, after a clip of it is out."""
        before = self._client.get(self._earlier).status
        made = self.opt_out(LATER, "character", cast.pictures(LATER, self.folder / "owl"))
        if before != 200 or made != "active":
            return f"before: {before}, opt-out: {made}"
        until = time.monotonic() + RECALL_SECONDS
        while time.monotonic() < until:
            answer = self._client.get(self._earlier)
            if answer.status == 410:
                return "withdrawn"
            time.sleep(0.2)
        return f"still served: {answer.status}"

    def harmless(self) -> str:
        """The embedded model draws a prompt that nobody minds."""
        job = self._made(HARMLESS, seconds=3)
        if job["release"]:
            self.released.write_bytes(self._client.get(job["release"]["file"]).body)
        return _told(job)

    def _create(self, prompt: str) -> str:
        output.say(f"  “{prompt}”")
        return _told(self._made(prompt))

    def _made(self, prompt: str, **more: int) -> dict[str, Any]:
        asked = {"prompt": prompt, "seed": SEED, **more}
        return self._client.finished(self._client.post_json("/v1/generations", asked))

    def _guard(self, clip: Path, prompt: str) -> dict[str, Any]:
        answer = self._client.post_form("/v1/guard", {"prompt": prompt}, "clip", [clip])
        return self._client.finished(answer)


def _told(job: dict[str, Any]) -> str:
    """How a job ended, with the codes of its reasons."""
    for reason in job["reasons"]:
        output.say(f"  {reason['detail']}")
    if job["error"]:
        return f"failed: {job['error']['code']}"
    codes = sorted({reason["code"] for reason in job["reasons"]})
    return " ".join([job["state"] + (":" if codes else ""), *codes])


def _problem(answer: Answer) -> str:
    output.say(f"  {answer.document.get('detail', '')}")
    return f"{answer.status} {answer.document.get('code', '')}"


SCENES: Final = (
    Scene(
        name="earlier-release", expected="released", play=Story.earlier_release,
        story=f"“{EARLIER}”, before anybody has registered it",
    ),
    Scene(
        name="opt-out", expected="active", play=Story.character_opts_out,
        story=f"the owner of {CHARACTER} opts out over HTTP: a name and {cast.PICTURES} pictures",
    ),
    Scene(
        name="refused-by-name", expected="refused: name_match", play=Story.refused_by_name,
        story="the very next request, with the name disguised",
    ),
    Scene(
        name="refused-by-pictures", expected="refused: prompt_resembles_picture",
        play=Story.refused_by_pictures, story="no name: CLIP compares the words with the pictures",
    ),
    Scene(
        name="held-by-frames", expected="held: picture_match", play=Story.held_by_frames,
        story="half a name and a word slip past the gate: the model draws, and what it draws is looked at",
    ),
    Scene(
        name="person-opts-out", expected="active", play=Story.person_opts_out,
        story="a person opts out with one portrait (NASA, public domain)",
    ),
    Scene(
        name="person-refused-by-name", expected="refused: name_match", play=Story.person_refused_by_name,
        story="her name in a prompt",
    ),
    Scene(
        name="person-held-by-face", expected="held: likeness_match", play=Story.person_held_by_face,
        story="her face in a clip, moved and relit",
    ),
    Scene(
        name="recalled", expected="withdrawn", play=Story.recalled,
        story="the owner of the owl opts out: the clip of the first act is found and withdrawn",
    ),
    Scene(
        name="harmless", expected="released", play=Story.harmless,
        story=f"“{HARMLESS}”, drawn by the embedded model",
    ),
)  # fmt: skip
