"""What is asked of the application, and how it is recorded: a job's inputs never change afterwards."""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline import policy as policies
from pipeline.credentials.text import safe_text
from pipeline.errors import LimitExceeded, MediaUnreadable, UsageError
from pipeline.pictures.header import is_picture
from pipeline.settings import Settings
from pipeline.types import Json
from registry import vocabulary
from registry.errors import OptOutInvalid
from registry.ruling import UNSAID, Ask
from registry.vocabulary import check_word

LOCAL_ACCOUNT: Final = "local"  # of the command line
MAX_TURNS: Final = 32  # of a conversation that led to a prompt
MAX_MATERIAL: Final = 8  # pictures and clips that a clip was made from
SEED_BITS: Final = 32
_BESIDE: Final = frozenset({"key", "source", "name", "label", "service", "crf", "style"})
"""What is recorded with an order and does not say what is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a clip is for, as far as it is said; rules of owners ask for it (docs/rules.md).

    ``region``: where it is shown, ISO 3166-1 alpha-2; ``purpose``, ``content_class``: words of
    `registry.vocabulary`; ``tags``: of the account, from whoever knows it.
    """

    region: str = ""
    purpose: str = ""
    content_class: str = ""
    tags: tuple[str, ...] = ()


NO_USE: Final = Use()


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardOrder:
    """What `guard` is asked: the clip, the policy preset, what to do with sound, the prompt if known.

    ``history``: the turns before the prompt, oldest first; ``enhanced``: what an enhancer made of the prompt
    before it was drawn, if one did; ``material``: pictures and clips that it was made from; ``asked``: what
    was asked for, where the prompt was rewritten; ``account``: whose work it is; ``key``: the API key it came
    with, if any; ``request``: a name that the account gives it: the same name is the same job, and with
    another clip it is refused; ``name``: what the file is called, where ``source`` does not say;
    ``use``: what it is for; ``maker``: the model, as (name, version), that made the clip in our hands: only
    who ran it says so, and then the credential says that the clip was generated; ``extends``: that one of
    ``material`` which it goes on with, whose frames it begins with; ``preview``: the source is no clip but a
    frame that was seen after (step, of so many) while one was made, and never becomes a release.
    """

    source: Path
    policy: str
    sound: policies.Sound
    prompt: str | None = None
    history: tuple[str, ...] = ()
    enhanced: str | None = None
    material: tuple[Path, ...] = ()
    asked: str | None = None
    account: str = LOCAL_ACCOUNT
    key: str = ""
    request: str = ""
    name: str = ""
    use: Use = NO_USE
    maker: tuple[str, str] | None = None
    extends: Path | None = None
    preview: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOrder:
    """What `create` is asked. ``generator``: a name of `generator.catalog`; ``seed``: None draws one;
    ``width``, ``height``: pixels, 0 for those that fit; ``image``: the picture that the clip begins with;
    ``extends``: the clip that it goes on with, ``seconds`` longer, and ``sound`` what becomes of that one's;
    at most one of the two; the rest as in `GuardOrder`.
    """

    prompt: str
    policy: str
    generator: str
    seconds: float
    seed: int | None = None
    width: int = 0
    height: int = 0
    history: tuple[str, ...] = ()
    enhanced: str | None = None
    image: Path | None = None
    extends: Path | None = None
    sound: policies.Sound = policies.Sound.HOLD
    account: str = LOCAL_ACCOUNT
    key: str = ""
    request: str = ""
    use: Use = NO_USE


Order = GuardOrder | CreateOrder


def inputs_of(order: Order, settings: Settings) -> Json:
    """What the job records. Raises: UsageError, MediaUnreadable, LimitExceeded."""
    policy = policies.preset(order.policy)
    common: Json = {
        "policy": policy.name, "policy_version": policy.version, "account": order.account, "key": order.key,
        "prompt": None if order.prompt is None else check_prompt(order.prompt, settings),
        "history": [check_prompt(turn, settings) for turn in _turns(order)],
        "label": settings.label, "service": settings.service, "crf": settings.crf,
    }  # fmt: skip
    # An order that says nothing of these is recorded as it always was.
    common |= _enhanced(order, settings)
    common |= {"style": settings.mark_style} if settings.mark_style else {}
    told = use_json(order.use)
    common |= {"use": told} if told else {}
    return common | (_guard(order, settings) if isinstance(order, GuardOrder) else _create(order, settings))


def use_json(use: Use) -> Json:
    """What is said of a clip's use, as a job records it; empty where nothing is. Raises: UsageError."""
    try:
        check_word("region", use.region, vocabulary.REGIONS)
        check_word("purpose", use.purpose, (*vocabulary.PURPOSES, *UNSAID))
        check_word("class of content", use.content_class, (*vocabulary.CONTENT_CLASSES, *UNSAID))
    except OptOutInvalid as error:
        raise UsageError(str(error)) from None
    told: Json = {
        "region": use.region, "purpose": use.purpose, "content_class": use.content_class,
        "tags": [*sorted({recordable(tag, "tag") for tag in use.tags})],
    }  # fmt: skip
    return {name: value for name, value in told.items() if value}


def ask_of(facts: Mapping[str, Any], job: str = "") -> Ask:
    """What a job's inputs, or a release's facts, ask of owners' rules; `job`: its id, where facts lack it."""
    use = facts.get("use") or {}
    return Ask(
        account=str(facts["account"]) if facts.get("account") else None,
        tags=frozenset(map(str, use.get("tags", ()))), region=str(use.get("region", "")),
        purpose=str(use.get("purpose", "")), content_class=str(use.get("content_class", "")),
        job=str(facts.get("job") or job),
    )  # fmt: skip


def material_of(inputs: Mapping[str, Any]) -> tuple[tuple[Path, str], ...]:
    """(path, SHA-256) of the pictures and clips that a clip was made from, in a job's inputs."""
    return tuple((Path(told["source"]), str(told["sha256"])) for told in inputs.get("material", ()))


def files_of(inputs: Mapping[str, Any]) -> list[Path]:
    """Files that a job was given."""
    source = inputs.get("source")
    return ([Path(source)] if isinstance(source, str) else []) + [path for path, _ in material_of(inputs)]


def job_key(inputs: Json, attempt: int) -> str:
    """The name of a job that nobody named: the same order is the same job, until it failed or was refused."""
    content = json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()
    return f"{hashlib.sha256(content).hexdigest()}#{attempt}"


def order_sha256(inputs: Mapping[str, Any]) -> str:
    """The digest of what was asked for, whoever's key it came with and wherever the files lay."""
    told: dict[str, Any] = {name: value for name, value in inputs.items() if name not in _BESIDE}
    told["material"] = [sha256 for _, sha256 in material_of(inputs)]
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def request_key(order: Order) -> str:
    """The name of a job that its account named."""
    named = json.dumps([order.account, order.request]).encode()
    return f"request/{hashlib.sha256(named).hexdigest()}"


def check_prompt(text: str, settings: Settings) -> str:
    """A prompt that can be judged and recorded. Raises: UsageError, LimitExceeded."""
    recordable(text, "prompt")
    if not text.strip():
        raise UsageError("the prompt is empty; say what the clip is to show")
    if len(text.encode()) > settings.max_prompt_bytes:
        raise LimitExceeded(f"the prompt is longer than {settings.max_prompt_bytes} bytes; shorten it")
    if "\0" in text:
        raise UsageError("the prompt contains a NUL character; remove it")
    return text


def parse_size(size: str | None) -> tuple[int, int]:
    """Width and height of a text like 512x288; zeros for None. Raises: UsageError."""
    if size is None:
        return 0, 0
    found = re.fullmatch(r"([1-9]\d{1,4})x([1-9]\d{1,4})", size)
    if found is None:
        raise UsageError("a size is width x height in pixels, as 512x288")
    return int(found[1]), int(found[2])


def recordable(text: str, what: str) -> str:
    """`text`, if it can be written down as UTF-8. Raises: UsageError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the {what} is not valid UTF-8 and cannot be recorded; change it") from None
    return text


def _turns(order: Order) -> tuple[str, ...]:
    if len(order.history) > MAX_TURNS:
        raise UsageError(
            f"a conversation has at most {MAX_TURNS} turns before the prompt; send the last ones"
        )
    return order.history


def _enhanced(order: Order, settings: Settings) -> Json:
    if order.enhanced is None:
        return {}
    if order.prompt is None:
        raise UsageError("an enhanced prompt comes with the prompt that it was made from; send both")
    return {"enhanced_prompt": check_prompt(order.enhanced, settings)}


def _guard(order: GuardOrder, settings: Settings) -> Json:
    if len(order.material) > MAX_MATERIAL:
        raise UsageError(f"a clip is made from at most {MAX_MATERIAL} pictures and clips; name fewer")
    given = [_given(path, settings) for path in order.material]
    material: Json = {"material": [*given]}
    asked: Json = {} if order.asked is None else {"asked_prompt": check_prompt(order.asked, settings)}
    if order.preview is not None:
        asked |= {"preview": {"step": order.preview[0], "steps": order.preview[1]}}
    return asked | (material if order.material else {}) | _maker(order, given) | {
        "source": recordable(str(order.source.absolute()), "file name"),
        "name": safe_text(order.name or order.source.name),
        "sha256": _digest(order.source, settings.max_bytes), "sound": str(order.sound),
    }  # fmt: skip


def _maker(order: GuardOrder, given: Sequence[Json]) -> Json:
    if order.maker is None:
        return {}
    if order.prompt is None:
        raise UsageError("a clip that a model made comes with its prompt; send both")
    name, version = order.maker
    told: Json = {"maker": {"name": safe_text(name), "version": safe_text(version)}}
    if order.extends is None:
        return told
    if order.extends not in order.material:
        raise UsageError("what a clip goes on with is part of what it was made from; name it there, too")
    return told | {"extends": given[order.material.index(order.extends)]["sha256"]}


def _given(path: Path, settings: Settings) -> Json:
    return {
        "source": recordable(str(path.absolute()), "file name"),
        "sha256": _digest(path, settings.max_bytes),
    }


def _create(order: CreateOrder, settings: Settings) -> Json:
    more: Json = {"enhancer": settings.enhancer} if settings.enhancer and order.enhanced is None else {}
    more |= {"rewrite": True} if settings.rewrite else {}
    return more | _begun(order, settings) | {
        "generator": recordable(order.generator, "generator's name"), "seconds": order.seconds,
        "seed": secrets.randbits(SEED_BITS) if order.seed is None else order.seed,
        "width": order.width, "height": order.height, "sound": str(order.sound),
    }  # fmt: skip


def _begun(order: CreateOrder, settings: Settings) -> Json:
    """What the clip begins with, as a file that it is made from. Raises: UsageError, and as `_given`."""
    path = order.image or order.extends
    if path is None:
        return {}
    if order.image and order.extends:
        raise UsageError("a clip begins with a picture or goes on with a clip; give one of the two")
    given, picture = _given(path, settings), is_picture(path)
    if order.image:
        if not picture:
            raise UsageError("the image is no PNG, JPEG or WebP picture; save it as one, or extend a clip")
        return {"material": [given], "image": given["sha256"]}
    if picture:
        raise UsageError("what is to be extended is a picture and no clip; give it as the image")
    if order.width or order.height:
        raise UsageError("a clip that goes on with another has that one's size; leave the size out")
    return {"material": [given], "extends": given["sha256"]}


def _digest(source: Path, max_bytes: int) -> str:
    name = safe_text(source.name)
    try:
        if not source.is_file():
            what = "there is no such file" if not source.exists() else "it is not a file"
            raise MediaUnreadable(f"cannot read {name}: {what}; check the name")
        if source.stat().st_size > max_bytes:
            raise LimitExceeded(f"{name} is larger than {max_bytes} bytes; raise max_bytes or shorten it")
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the name is not usable"
        raise MediaUnreadable(f"cannot read {name} ({reason}); check it") from None
