"""Every attack of the suite by name, with its parameters: what `docs/attacks.md` lists.

An attack is a chain of steps. A name with ``+h264_26`` is the same attack followed by H.264 at crf 26, as
files that were edited are passed on: every geometric, photometric and temporal attack has such a row, so has
everything that covers or removes. ``peer``: a row of VideoSeal's evaluation, with its parameters.
"""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from benchmarks.attacks import covers, geometry, photometry, removers, timing
from benchmarks.attacks.codecs import codec
from benchmarks.attacks.footage import Footage, Parameters, Situation, Step

FOLLOWED: Final = "+h264_26"


DRAWN: Final = frozenset({
    geometry.crop, geometry.perspective, photometry.noise, timing.thin, timing.stutter, timing.reorder,
    covers.overlay, covers.picture_in_picture, removers.telea, removers.telea_held, removers.delogo_tracked,
    removers.temporal_median,
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One step with its parameters."""

    step: Step
    parameters: Parameters

    @property
    def told(self) -> str:
        """The step as a person reads it: crop(side 0.71)."""
        named = ", ".join(f"{key} {value}" for key, value in self.parameters.items())
        return f"{self.step.__name__}({named})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """A named chain. ``family``: none, codec, geometry, photometry, timing, cover, chain or removal.

    ``visible``: the clip also bears the visible mark. ``peer``: of VideoSeal's suite.
    """

    name: str
    family: str
    parts: tuple[Part, ...]
    peer: bool = False
    visible: bool = False

    @property
    def told(self) -> str:
        """All steps in order."""
        return " → ".join(part.told for part in self.parts) or "nothing"

    @property
    def drawn(self) -> bool:
        """Whether chance has a part in it: without, more seeds are no more trials."""
        return any(part.step in DRAWN for part in self.parts)

    def apply(self, footage: Footage, situation: Situation) -> Footage:
        """The attacked footage; work is done while it is played. Raises: CannotAttack."""
        for index, part in enumerate(self.parts):
            step = replace(situation, step=index)
            footage = replace(part.step(footage, step, **part.parameters), boxes=None)
        return footage


def _part(step: Step, **parameters: Any) -> Part:
    return Part(step=step, parameters=MappingProxyType(parameters))


def _h264(crf: int) -> Part:
    return _part(codec, name="h264", crf=crf)


def _one(name: str, family: str, *parts: Part, peer: bool = False, visible: bool = False) -> Attack:
    return Attack(name=name, family=family, parts=parts, peer=peer, visible=visible)


def _codecs() -> list[Attack]:
    made = [
        _one(f"{name}_{crf}", "codec", _part(codec, name=name, crf=crf), peer=crf in (23, 30, 40, 50))
        for name, crfs in {
            "h264": (23, 28, 30, 35, 40, 50), "h264rgb": (23, 30, 40, 50), "h265": (23, 30, 35, 40, 50),
        }.items()
        for crf in crfs
    ]  # fmt: skip
    made += [_one(f"av1_{crf}", "codec", _part(codec, name="av1", crf=crf)) for crf in (35, 50, 55)]
    made.append(_one("vp9", "codec", _part(codec, name="vp9"), peer=True))
    made.append(_one("vp9_40", "codec", _part(codec, name="vp9", crf=40)))
    h265, av1 = _part(codec, name="h265", crf=32), _part(codec, name="av1", crf=40)
    made.append(_one("generations_2", "codec", _h264(28), h265))
    made.append(_one("generations_3", "codec", _h264(28), h265, av1))
    return made


def _geometry() -> list[Attack]:
    def moved(name: str, part: Part, *, peer: bool = False) -> Attack:
        return _one(name, "geometry", part, peer=peer)

    rotate, resize, crop = geometry.rotate, geometry.resize, geometry.crop
    return [
        moved("flip", _part(geometry.flip), peer=True),
        moved("rotate_10", _part(rotate, degrees=10, nearest=True), peer=True),
        moved("rotate_90", _part(rotate, degrees=90, nearest=True), peer=True),
        *(moved(f"rotate_{degrees}", _part(rotate, degrees=degrees)) for degrees in (2, 3, 5)),
        moved("turn_90", _part(geometry.turn)),
        *(moved(f"resize_{side}", _part(resize, side=side), peer=True) for side in (0.55, 0.71)),
        *(moved(f"resize_{side}", _part(resize, side=side)) for side in (0.25, 0.33, 2.0)),
        *(moved(f"stretch_{by}", _part(resize, side=1.0, stretch=by)) for by in (0.75, 1.33)),
        *(moved(f"crop_{side}", _part(crop, side=side), peer=side != 0.4) for side in (0.4, 0.55, 0.71)),
        moved("perspective_0.5", _part(geometry.perspective, distortion=0.5), peer=True),
        *(moved(f"perspective_{d}", _part(geometry.perspective, distortion=d)) for d in (0.05, 0.1)),
    ]


def _photometry() -> list[Attack]:
    def toned(name: str, part: Part, *, peer: bool = True) -> Attack:
        return _one(name, "photometry", part, peer=peer)

    both = (0.5, 1.5)
    return [
        *(toned(f"brightness_{f}", _part(photometry.brightness, factor=f)) for f in both),
        *(toned(f"contrast_{f}", _part(photometry.contrast, factor=f)) for f in both),
        *(toned(f"saturation_{f}", _part(photometry.saturation, factor=f)) for f in both),
        toned("hue_0.25", _part(photometry.hue, turns=0.25)),
        toned("grayscale", _part(photometry.grayscale)),
        toned("jpeg_40", _part(photometry.jpeg, quality=40)),
        toned("blur_9", _part(photometry.blur, kernel=9)),
        *(toned(f"gamma_{e}", _part(photometry.gamma, exponent=e), peer=False) for e in (0.7, 1.4)),
        toned("noise_6", _part(photometry.noise, deviation=6.0), peer=False),
        toned("sharpen_1", _part(photometry.sharpen, amount=1.0), peer=False),
    ]


def _timing() -> list[Attack]:
    def timed(name: str, part: Part, *, peer: bool = False) -> Attack:
        return _one(name, "timing", part, peer=peer)

    speed = timing.speed
    return [
        *(timed(f"speed_{f}", _part(speed, factor=f), peer=True) for f in (0.5, 2.0)),
        *(timed(f"speed_{f}", _part(speed, factor=f)) for f in (0.9, 1.1, 1.25)),
        *(timed(f"drop_{s}", _part(timing.stutter, share=s / 100), peer=True) for s in (20, 50)),
        *(timed(f"thin_{s}", _part(timing.thin, share=s / 100)) for s in (20, 50)),
        timed("reorder", _part(timing.reorder, chunk=5, chance=0.5), peer=True),
        timed("average_3", _part(timing.average, frames=3), peer=True),
        timed("fps_24", _part(timing.frame_rate, rate=24.0)),
        timed("fps_0.8", _part(timing.frame_rate, share=0.8)),
        timed("first_2s", _part(timing.first, seconds=2.0)),
        timed("last_2s", _part(timing.last, seconds=2.0)),
    ]


def _covers() -> list[Attack]:
    return [
        _one("overlay_10", "cover", _part(covers.overlay, area=0.1)),
        _one("logo", "cover", _part(covers.logo, height=0.06)),
        _one("letterbox", "cover", _part(covers.letterbox, bars=0.125)),
        *(
            _one(f"pip_{s}", "cover", _part(covers.picture_in_picture, side=s / 100))
            for s in (50, 60)
        ),
        _one("delogo", "cover", _part(removers.delogo, width=0.2, height=0.08)),
    ]  # fmt: skip


def _chains() -> list[Attack]:
    crop, dim = _part(geometry.crop, side=0.71), _part(photometry.brightness, factor=0.5)
    screen = (
        _part(geometry.perspective, distortion=0.1), _part(geometry.resize, side=0.8),
        _part(photometry.blur, sigma=1.0), _part(photometry.gamma, exponent=1.2),
        _part(photometry.noise, deviation=4.0), _h264(30),
    )  # fmt: skip
    remade = (
        _part(geometry.long_side, pixels=512), _part(timing.frame_rate, rate=12.0),
        _part(photometry.denoise, strength=5.0), _h264(26),
    )  # fmt: skip
    rotated = (
        _part(geometry.rotate, degrees=5), _part(geometry.crop, side=0.85), _part(geometry.resize, side=0.75),
        _part(photometry.gamma, exponent=1.2), _h264(28),
    )  # fmt: skip
    tiny = _part(geometry.long_side, pixels=192)
    return [
        *(_one(f"combined_{crf}", "chain", _h264(crf), crop, dim, peer=True) for crf in (23, 30, 40, 50)),
        _one("long_192_crf_30", "chain", tiny, _h264(30)),
        _one("resize_0.75_crf_28", "chain", _part(geometry.resize, side=0.75), _h264(28)),
        _one("crop_resize_30_dim", "chain", crop, _part(geometry.resize, side=0.75), _h264(30), dim),
        _one("rotate_crop_resize_28", "chain", *rotated),
        _one("screen_recording", "chain", *screen),
        _one("regeneration_proxy", "chain", *remade),
    ]


def _removal() -> list[Attack]:
    subtract = removers.subtract_estimate
    return [
        _one("visible", "removal", visible=True),  # the control: nothing was painted over
        _one("inpaint_telea", "removal", _part(removers.telea), visible=True),
        _one("inpaint_median", "removal", _part(removers.temporal_median, seconds=2.0), visible=True),
        _one("inpaint_held", "removal", _part(removers.telea_held, seconds=0.5), visible=True),
        _one("inpaint_delogo", "removal", _part(removers.delogo_tracked), visible=True),
        _one("inpaint_label", "removal", _part(removers.telea, plates=1), visible=True),
        *(_one(f"remark_{n}", "removal", _part(removers.mark_again, keys=n)) for n in range(1, 6)),
        _one("subtract_1", "removal", _part(subtract, gain=1.0)),
        _one("subtract_1.5", "removal", _part(subtract, gain=1.5)),
        _one("subtract_pieces", "removal", _part(subtract, gain=1.0, seconds=0.5)),
        _one("notch_200", "removal", _part(removers.notch, peaks=200)),
    ]


def _followed(attack: Attack) -> Attack:
    return replace(attack, name=attack.name + FOLLOWED, parts=(*attack.parts, _h264(26)), peer=False)


def _all() -> dict[str, Attack]:
    plain = [*_geometry(), *_photometry(), *_timing(), *_covers(), *_removal()]
    none = _one("none", "none", peer=True)
    every = [none, *_codecs(), *plain, *map(_followed, plain), *_chains()]
    return {attack.name: attack for attack in every}


SUITE: Final = MappingProxyType(_all())
CORE: Final = (
    "none", "h264_30", "h264_35", "h264_40", "h265_40", "av1_50", "vp9_40", "generations_3",
    "brightness_0.5+h264_26", "jpeg_40+h264_26", "resize_0.55+h264_26", "long_192_crf_30",
    "crop_0.71+h264_26", "crop_0.55+h264_26", "rotate_10+h264_26", "flip+h264_26", "perspective_0.1+h264_26",
    "speed_1.1+h264_26", "last_2s+h264_26", "combined_40",
)  # fmt: skip
"""The twenty rows of watermark.md section 7 that decide most, in an hour on two cores."""


def chosen(name: str) -> tuple[Attack, ...]:
    """The attacks of ``core``, ``suite``, ``peer`` (VideoSeal's rows) or a single name.

    Raises: KeyError for none of these.
    """
    if name == "core":
        return tuple(SUITE[one] for one in CORE)
    if name in ("suite", "peer"):
        return tuple(attack for attack in SUITE.values() if name == "suite" or attack.peer)
    return (SUITE[name],)
