"""What the buttons of the opt-out pages do with a draft: keep what was typed, look at pictures, try it."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import cv2
from limits import RateLimitItem

from pipeline import policy as policies
from pipeline.api.optouts import order_of
from pipeline.api.state import Service
from pipeline.api.uploads import UploadedFile
from pipeline.credentials.text import safe_text
from pipeline.errors import AskedTooOften, PictureRefused, RequestMalformed
from pipeline.optouts.order import UNNAMED
from pipeline.optouts.picking import picked
from pipeline.pictures.reader import load_picture
from pipeline.pictures.types import PictureFile, ReadPicture
from pipeline.tryout import told_each
from pipeline.web.drafts import MAX_PICTURES, Draft, Shown
from pipeline.web.portal_words import FOUND, LISTS, TEXTS, Fields

MAX_TYPED: Final = 4000
MAX_TRIES: Final = 30  # of one draft
TRIED_KEPT: Final = 4
SMALL: Final = 168  # pixels of a picture on the page
PICTURES, CLIP = "references", "clip"
FRESH_NAMES: Final = ("name", "aliases", "context", "native", "kind", "whom")
"""What the answers about names depend on."""

Json = dict[str, Any]


def typed(
    step: int, fields: Mapping[str, Sequence[str]], before: Mapping[str, str], *, whole: bool
) -> dict[str, str]:
    """All that was typed so far, with what a step's form says. Lines stay lines; what cannot be text goes.

    ``whole``: all of the form came, so that a box which is not there is not ticked.
    """
    found = dict(before)
    for name in TEXTS[step]:
        if name in fields:
            found[name] = _lines(fields[name][0])
    for name in (one for one in LISTS[step] if whole or one in fields):
        found[name] = "\n".join(safe_text(value, 400) for value in fields.get(name, ())[:100])
    return found


def _lines(text: str) -> str:
    return "\n".join(safe_text(line, MAX_TYPED) for line in text[:MAX_TYPED].splitlines())


def with_kind(here: Service, draft: Draft) -> Draft:
    """The draft with its pictures looked at as those of the kind of subject that it is now."""
    kind = Fields(typed=draft.written.fields).kind
    if kind == draft.written.kind or not draft.written.pictures:
        return here.drafts.save(draft, kind=kind)
    files = [
        PictureFile(name=one.name, data=draft.picture(one.sha256).read_bytes())
        for one in draft.written.pictures
    ]
    return here.drafts.save(draft, kind=kind, pictures=_shown(here, files, kind))


def take_pictures(here: Service, draft: Draft, files: Sequence[UploadedFile]) -> Draft:
    """Look at pictures that came and keep those that can be read. Raises: RequestMalformed, LimitExceeded."""
    known = {one.sha256 for one in draft.written.pictures if one.small}
    new = {file.sha256: file for file in files if file.field == PICTURES and file.sha256 not in known}
    if len(known) + len(new) > MAX_PICTURES:
        raise RequestMalformed(f"{MAX_PICTURES} pictures are enough; choose the best of them")
    loaded, answers = [], []
    for file in new.values():
        try:
            loaded.append(PictureFile(name=file.name, data=load_picture(file.path).data))
        except PictureRefused as error:  # larger than is looked at
            told = str(error).partition(": ")[2]
            answers.append(Shown(sha256=file.sha256, name=file.name, taken=False, told=told))
    shown = _shown(here, loaded, Fields(typed=draft.written.fields).kind)
    for picture, one in zip(loaded, shown, strict=True):
        if one.small:  # what cannot be read is not kept
            here.drafts.add_picture(draft, one.sha256, picture.data)
    before = [one for one in draft.written.pictures if one.small]
    return here.drafts.save(draft, pictures=(*before, *shown, *answers))


def without_picture(here: Service, draft: Draft, sha256: str) -> Draft:
    """The draft without one of its pictures."""
    left = tuple(one for one in draft.written.pictures if one.sha256 != sha256)
    here.drafts.forget_pictures(draft, frozenset(one.sha256 for one in left))
    return here.drafts.save(draft, pictures=left)


def _shown(here: Service, files: Sequence[PictureFile], kind: str) -> tuple[Shown, ...]:
    found = picked(files, kind, here.app.eyes) if files else []
    return tuple(
        Shown(
            sha256=hashlib.sha256(file.data).hexdigest(), name=one.name, taken=one.taken, told=one.told,
            small=_small(one.picture),
        )
        for file, one in zip(files, found, strict=True)
    )  # fmt: skip


def _small(picture: ReadPicture | None) -> str:
    if picture is None:
        return ""
    height, width = picture.rgb.shape[:2]
    factor = min(1.0, SMALL / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(cv2.cvtColor(picture.rgb, cv2.COLOR_RGB2BGR), size, interpolation=cv2.INTER_AREA)
    return base64.b64encode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()).decode()


def look_at_names(draft: Draft) -> tuple[Json, ...]:
    """What is told of each name; empty without any. Raises: RequestMalformed."""
    fields = Fields(typed=draft.written.fields)
    if not fields["name"].strip():
        return ()
    order = order_of(fields.order() | {"died_on": None}, UNNAMED)
    return tuple(told_each(order))


def try_it(here: Service, draft: Draft, clip: UploadedFile | None) -> Draft:
    """Judge a sentence, or a clip, with the draft as the only opt-out. Raises: what the checks raise."""
    written, fields = draft.written, Fields(typed=draft.written.fields)
    sentence = fields["sentence"].strip()
    if not sentence and clip is None:
        raise RequestMalformed("write a sentence to try, or choose a clip")
    if written.tries >= MAX_TRIES:
        raise AskedTooOften(f"{MAX_TRIES} tries are enough for one opt-out; go on with it")
    draft = here.drafts.save(draft, tries=written.tries + 1)
    order = order_of(fields.order() | {"died_on": None}, UNNAMED)
    trial = here.app.try_out(here.desk, policy_to_try(here))
    answer: Any = trial.alone(
        order, taken_pictures(draft), [sentence] if sentence else [], [clip.path] if clip else []
    )
    found = [{"what": sentence, "clip": False} | one for one in answer["prompts"]]
    found += [{"what": clip.name if clip else "", "clip": True} | one for one in answer["clips"]]
    made = [one | {"why": _why(one["codes"])} for one in found]
    return here.drafts.save(draft, tried=(*made, *written.tried)[:TRIED_KEPT])


def demand_room_to_try(here: Service, each: RateLimitItem, asker: str) -> None:
    """Raises: AskedTooOften: who tries without end could look for what is just not recognised."""
    if not here.limiter.hit(each, "try", asker):
        raise AskedTooOften("too much was tried in this hour; try again later, or go on")


def demand_step(draft: Draft, step: int) -> None:
    """Raises: RequestMalformed where a step lacks what the next needs."""
    fields = Fields(typed=draft.written.fields)
    if step == 1:
        fields.demand_whom()
    if step == 2:
        order_of(fields.order() | {"died_on": None}, UNNAMED)
        wrong = next((one for one in draft.written.names if one["tier"] == "refused"), None)
        if wrong is not None:
            raise RequestMalformed(str(wrong["why"]))
    if step == 3:
        _ = fields.conditions


def policy_to_try(here: Service) -> str:
    """The policy by which a draft is tried: the service's own, where it compares anything."""
    own = policies.preset(here.settings.policy)
    return own.name if own.required else "opt-out"


def taken_pictures(draft: Draft) -> list[PictureFile]:
    """The pictures of a draft that would be registered."""
    return [
        PictureFile(name=one.name, data=draft.picture(one.sha256).read_bytes())
        for one in draft.written.pictures if one.taken
    ]  # fmt: skip


def _why(codes: Sequence[str]) -> str:
    told = [FOUND[code] for code in codes if code in FOUND]
    return "; ".join(told)
