"""`guard(pipe)`: a diffusers pipeline whose clips leave through a release, or not at all.

The rules of a call, in order:
1. what could bring in content that nobody judges is refused: latents, embeddings, tensors, callbacks that
   change something; and latents as output;
2. the gate judges the prompt before anything is generated, and pictures and clips that it comes with
   (`pipeline.given`) are looked at; a refusal raises `Refused` with its reasons;
3. a prompt that is held for what it describes is rewritten where the setting `rewrite` says so, and where an
   enhancer rewrites the prompt, the gate judges what it wrote; the pipeline draws what came of it;
4. the pipeline generates; a frame on the way that is refused outright stops it (`pipeline.peeking`); the clip
   passes through the same job as `countermark guard --prompt`, but its
   credential says that this model made it, and of what, or which clip it goes on with;
5. what comes back are the decoded frames of the signed file, in the type that was asked for.

This protects a service against its users and its own mistakes, not against code in the same process: the
pipeline inside can always be reached by who holds the object.
"""

import contextlib
import inspect
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from generator.base import MAX_RATE
from generator.conventions import CONVENTIONS, trained_rate
from generator.frames import as_pictures
from pipeline.app import App, open_app
from pipeline.appeals import of_job
from pipeline.asking import Question
from pipeline.errors import Refused, UsageError
from pipeline.given import NAMES, SETTINGS, taken
from pipeline.media.limits import media_limits
from pipeline.media.pictures import BT601_LIMITED, frame_from_rgb
from pipeline.media.reader import open_clip
from pipeline.media.rgb import rgb
from pipeline.media.types import ClipInfo
from pipeline.media.writer import ClipWriter
from pipeline.orders import LOCAL_ACCOUNT, MAX_MATERIAL, GuardOrder
from pipeline.peeking import Peeking
from pipeline.policy import Sound, from_json, preset
from pipeline.settings import Settings, load
from pipeline.telling import line_of
from pipeline.texts import Texts
from pipeline.types import Decision

# Arguments that cannot bring in content; all others must keep their defaults.
HARMLESS: Final = frozenset({
    "prompt", "negative_prompt", "height", "width", "num_frames", "frame_rate", "fps", "num_inference_steps",
    "timesteps", "sigmas", "guidance_scale", "guidance_scale_2", "guidance_rescale", "generator", "eta",
    "output_type", "return_dict", "num_videos_per_prompt", "use_dynamic_cfg", "max_sequence_length",
    "decode_timestep", "decode_noise_scale", "clean_caption", "callback_on_step_end",
    "callback_on_step_end_tensor_inputs", "video_length", "decode_chunk_size", "true_cfg_scale",
    "overlap_history", "addnoise_condition", "base_num_frames", "ar_step", "causal_block_size",
})  # fmt: skip
MATERIAL: Final = NAMES | SETTINGS  # looked at by `pipeline.given`
OUTPUTS: Final = ("np", "pil", "pt")
FALLBACK_RATE: Final = 24.0  # frames per second, of pipelines that do not say
MAX_DENOMINATOR: Final = 1001
NEARLY_LOSSLESS: Final = 4.0  # x264's quality of the file between; the release is encoded once more
STEM: Final = "generated.mp4"

Frames = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedRelease:
    """What left: the release's number and names, and the signed file in the home."""

    id: str
    payload: str
    urn: str
    sha256: str
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a call asks for: the prompt, what an enhancer made of it, files of what it is made from.

    ``asked``: what was asked for, where the prompt is a rewritten one; ``negative``: what is not to be drawn.
    """

    prompt: str
    asked: str | None = None
    negative: str = ""
    enhanced: str | None = None
    material: tuple[Path, ...] = ()

    def texts(self, words: tuple[str, ...] = ()) -> Texts:
        """The texts of it, with the words in the material."""
        return Texts(pictures=words, asked=self.asked, prompt=self.prompt, enhanced=self.enhanced)


def guard(
    pipe: Any,
    *,
    home: str | Path | None = None,
    policy: str | None = None,
    account: str | None = None,
    frame_rate: float | None = None,
    enhance: Callable[[str], str] | None = None,
) -> "GuardedPipeline":
    """Wrap a video pipeline of diffusers; the result is called as the pipeline is.

    `home`, `policy`: else those of the settings. `account`: whose work it is. `frame_rate`: of the clips,
    where neither the call nor our table of pipelines says it. `enhance`: rewrites a prompt before it is
    drawn, e.g. a `generator.enhance.PromptEnhancer`; what it writes is judged, too.
    Raises: UsageError for an unknown policy, or an object that is no pipeline.
    """
    if not callable(pipe) or not hasattr(pipe, "components"):
        raise UsageError(
            "guard takes a pipeline of diffusers; load one with DiffusionPipeline.from_pretrained"
        )
    if isinstance(pipe, GuardedPipeline):
        raise UsageError("this pipeline is guarded already; use it as it is")
    settings = load(Path(home) if home is not None else None)
    named = preset(policy or settings.policy).name
    if enhance is not None and not callable(enhance):
        raise UsageError("enhance is called with a prompt and answers another; give a function")
    return GuardedPipeline(pipe, settings, named, account or LOCAL_ACCOUNT, frame_rate, enhance)


class GuardedPipeline:
    """A pipeline inside a guard. Everything but the call is the pipeline's own; see `guard`."""

    def __init__(
        self, inner: Any, settings: Settings, policy: str, account: str, frame_rate: float | None,
        enhance: Callable[[str], str] | None = None,
    ) -> None:  # fmt: skip
        self._guarded = inner
        self._enhance = enhance
        self._settings, self._policy, self._account = settings, policy, account
        self._frame_rate = frame_rate
        self._signature = inspect.signature(inner.__call__)
        self._app: App | None = None
        self._closing: Callable[[], object] = _nothing

    def close(self) -> None:
        """Let go of the home; the next call opens it again. Happens by itself with the object's end."""
        self._closing()
        self._app = None

    def __getattr__(self, name: str) -> Any:
        """The pipeline's own; a method that answers the pipeline, such as `to`, answers the guarded one."""
        if name == "_guarded":  # not there yet: an instance is being copied
            raise AttributeError(name)
        found = getattr(self._guarded, name)
        return _kept_guarded(self, found) if inspect.ismethod(found) else found

    def __setattr__(self, name: str, value: Any) -> None:
        """`pipe.scheduler = …` and the like reach the pipeline."""
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self._guarded, name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Generate and release. The result has ``frames``, ``release``, ``decision``, and ``preview``: what
        was seen on the way, empty where nothing was looked at.

        Raises: Refused with reasons, UsageError for what may not be asked, and what the steps raise.
        """
        given = self._bound(args, kwargs)
        prompt, wanted = _prompt(given), _output_type(given, self._signature)
        _refuse_unjudged(given, self._signature)
        rate, material = self._rate(given), taken(given, MAX_MATERIAL)
        with tempfile.TemporaryDirectory(prefix="countermark-") as folder:
            asked = Asked(prompt=prompt, material=material.write(Path(folder), _write))
            asked = self._judged(asked)
            fixed = {"prompt": asked.enhanced or asked.prompt, "output_type": "np"} | material.arguments
            fixed |= self._negative(given, asked.negative)
            looks = self._peeking(asked, Path(folder))
            result = self._guarded(**given | fixed | looks.arguments(given | fixed, self._signature))
            looks.end()
            made = as_pictures(np.asarray(result.frames[0], dtype=np.float32))
            place = material.continued(made)
            extends = None if place is None else asked.material[place]
            release, decision = self._release(made, asked, rate, Path(folder), extends)
        result.frames = _as_asked(_decoded(release.file, self._settings), wanted)
        result.release, result.decision, result.preview = release, decision, looks.told
        return result

    def _judged(self, asked: "Asked") -> "Asked":
        """What is asked, with what the enhancer made of it. Raises: Refused; UsageError for no text."""
        asking, question = self._opened().asking, Question(policy=self._policy, account=self._account)
        rewrite = asking.rewritten(asked.prompt, question) if self._settings.rewrite else None
        if rewrite:
            prompt, negative = str(rewrite["prompt"]), str(rewrite["negative"])
            asked = replace(asked, prompt=prompt, asked=asked.prompt, negative=negative)
        asking.demand(asked.texts(), question)
        words = asking.demand_material(asked.material, question) if asked.material else ()
        if self._enhance is not None:
            asked = replace(asked, enhanced=self._enhance(asked.prompt))
            if not isinstance(asked.enhanced, str) or not asked.enhanced.strip():
                raise UsageError("the enhancer answered no text, so nothing is drawn; mend it")
        if words or asked.enhanced is not None:
            asking.demand(asked.texts(words), question)
        return asked

    def _negative(self, given: dict[str, Any], terms: str) -> dict[str, Any]:
        """The user's negative prompt with more terms, where the pipeline has one that counts."""
        convention = CONVENTIONS.get(type(self._guarded).__name__)
        counts = convention is None or convention.negative
        if not terms or not counts or "negative_prompt" not in self._signature.parameters:
            return {}
        scales = [given.get(name) for name in ("guidance_scale", "guidance_scale_2")]
        if any(scale is not None and scale < 1 for scale in scales):
            return {}
        theirs = given.get("negative_prompt") or ""
        theirs = ", ".join(map(str, theirs)) if isinstance(theirs, (list, tuple)) else str(theirs)
        return {"negative_prompt": ", ".join(filter(None, (theirs, terms)))}

    def _opened(self) -> App:
        """The home, open from the first call on: what looks at prompts and clips is loaded once."""
        if self._app is None:
            stack = contextlib.ExitStack()
            self._app = stack.enter_context(open_app(self._settings))
            self._closing = weakref.finalize(self, stack.close)
        return self._app

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            return dict(self._signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise UsageError(f"the pipeline cannot be called like this: {error}") from None

    def _peeking(self, asked: "Asked", folder: Path) -> Peeking:
        def order(source: Path, seen: tuple[int, int]) -> GuardOrder:
            return replace(self._order(source, asked), preview=seen)

        question = Question(policy=self._policy, account=self._account)
        return Peeking(self._opened(), question, asked.texts(), folder, order)

    def _order(self, source: Path, asked: "Asked") -> GuardOrder:
        return GuardOrder(
            source=source, policy=self._policy, sound=Sound.HOLD, prompt=asked.prompt,
            enhanced=asked.enhanced, material=asked.material, asked=asked.asked, account=self._account,
            maker=_maker(self._guarded),
        )  # fmt: skip

    def _release(
        self, made: Frames, asked: "Asked", rate: Fraction, folder: Path, extends: Path | None
    ) -> tuple[GuardedRelease, Decision]:
        source = folder / STEM
        _write(made, rate, source)
        order = replace(self._order(source, asked), extends=extends)
        outcome = self._opened().guard(order, _silent)
        if outcome.release is None or outcome.file is None or outcome.decision is None:
            told = [line_of(reason) for reason in outcome.held] or ["The clip is held."]
            told.append(of_job(self._settings.contact, outcome.job.id))
            raise Refused(" ".join(told))
        release = GuardedRelease(
            id=outcome.release.id, payload=outcome.release.payload, urn=outcome.release.urn,
            sha256=outcome.release.file_sha256, file=outcome.file,
        )  # fmt: skip
        return release, from_json(outcome.decision)

    def _rate(self, given: dict[str, Any]) -> Fraction:
        convention = CONVENTIONS.get(type(self._guarded).__name__)
        named = (convention.rate_name if convention else None) or "fps"
        known = trained_rate(self._guarded, convention) if convention else None
        parameter = self._signature.parameters.get(named)
        default = parameter.default if parameter is not None else None
        rate = given.get(named) or default or self._frame_rate or known or FALLBACK_RATE
        try:
            found = Fraction(rate).limit_denominator(MAX_DENOMINATOR)
        except (TypeError, ValueError, OverflowError):
            found = Fraction(0)
        if not 0 < found <= MAX_RATE:
            raise UsageError(f"{rate!r} is no frame rate; give frames per second, at most {MAX_RATE}")
        return found


_OWN: Final = frozenset(
    {
        "_guarded", "_settings", "_policy", "_account", "_frame_rate", "_signature", "_app", "_closing",
        "_enhance",
    }
)  # fmt: skip


def _maker(pipe: Any) -> tuple[str, str]:
    """What the credential names as the model: the pipeline's class, the last part of its weights' name."""
    config = getattr(pipe, "config", None)
    named = config.get("_name_or_path") if isinstance(config, Mapping) else None
    return type(pipe).__name__, Path(str(named or "")).name or "weights without a name"


def _nothing() -> None:
    """There is nothing to close yet."""


def _kept_guarded(guarded: GuardedPipeline, method: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        answer = method(*args, **kwargs)
        return guarded if answer is guarded._guarded else answer

    return called


def _prompt(given: dict[str, Any]) -> str:
    prompt = given.get("prompt")
    if isinstance(prompt, (list, tuple)) and len(prompt) == 1:
        prompt = prompt[0]
    if isinstance(prompt, (list, tuple)) or given.get("num_videos_per_prompt") not in (None, 1):
        raise UsageError("a guarded call makes one clip, since each is a release; call once for each prompt")
    if not isinstance(prompt, str):
        raise UsageError("a guarded call needs its prompt as text, since the prompt is what the gate judges")
    return prompt


def _output_type(given: dict[str, Any], signature: inspect.Signature) -> str:
    default = signature.parameters["output_type"].default if "output_type" in signature.parameters else "np"
    wanted = given.get("output_type", default) or default
    if wanted not in OUTPUTS:
        raise UsageError(f"a guarded pipeline gives the frames of the signed file: {', '.join(OUTPUTS)}")
    if given.get("return_dict", True) is not True:
        raise UsageError("return_dict=False has no place for the release; leave it out")
    return str(wanted)


def _refuse_unjudged(given: dict[str, Any], signature: inspect.Signature) -> None:
    for name, value in given.items():
        default = signature.parameters[name].default
        if name in HARMLESS or name in MATERIAL or value is None or value is default:
            continue
        if (
            isinstance(default, (bool, int, float, str))
            and isinstance(value, type(default))
            and value == default
        ):
            continue
        raise UsageError(
            f"{name} may carry content that no check sees; a guarded pipeline works from its prompt"
        )
    scales = [given.get(name) for name in ("guidance_scale", "guidance_scale_2")]
    if given.get("negative_prompt") and any(scale is not None and scale < 1 for scale in scales):
        raise UsageError(
            "with guidance under 1 a negative prompt is drawn rather than avoided; raise it to 1"
        )


def _write(made: Frames, rate: Fraction, target: Path) -> None:
    height, width = made.shape[1:3]
    even = made[:, : height - height % 2, : width - width % 2]
    info = ClipInfo(
        width=even.shape[2], height=even.shape[1], time_base=1 / rate, frame_rate=rate, variable=False,
        colour=BT601_LIMITED,
    )  # fmt: skip
    with ClipWriter(target, info, crf=NEARLY_LOSSLESS, preset="veryfast") as writer:
        for index, picture in enumerate(even):
            writer.write(frame_from_rgb(picture, index, index / float(rate)))


def _decoded(file: Path, settings: Settings) -> Frames:
    """All frames of the signed file, RGB ``uint8[f, h, w, 3]``."""
    with open_clip(file, limits=media_limits(settings)) as clip:
        return np.stack([rgb(frame, clip.info.colour) for frame in clip.frames()])


def _as_asked(frames: Frames, wanted: str) -> Any:
    """One clip in diffusers' form: np ``[1, f, h, w, 3]``, pt ``[1, f, 3, h, w]``, pil a list of lists."""
    if wanted == "pil":
        from PIL import Image

        return [[Image.fromarray(frame) for frame in frames]]
    floats = frames[None].astype(np.float32) / 255
    if wanted == "np":
        return floats
    import torch

    return torch.from_numpy(floats).permute(0, 1, 4, 2, 3).contiguous()


def _silent(_step: str, _event: str, _value: float) -> None:
    """Nobody watches the steps of a call."""
