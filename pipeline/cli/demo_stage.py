"""What can happen to a release after it left: shrink, change a byte, sign as a stranger; and verifying."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.cli import output
from pipeline.cli.demo_cast import character_clip
from pipeline.credentials.manifest import Agent, ReleaseFacts, Source, guarded, new_urn
from pipeline.credentials.pki import ensure_pki
from pipeline.credentials.reading import PARENT
from pipeline.credentials.sign import sign_clip
from pipeline.credentials.signer import LocalKeySigner
from pipeline.credentials.tsa import local_tsa
from pipeline.media.limits import media_limits
from pipeline.media.pictures import jpeg
from pipeline.media.reader import open_clip
from pipeline.media.types import ClipInfo, Frame
from pipeline.media.writer import ClipWriter
from pipeline.settings import Settings
from pipeline.verify.html_page import render
from pipeline.verify.opening import open_local

UNMARKED: Final = "Nubbin Frostwick"  # whom the clip that never left shows
PLATFORM_CRF: Final = 28.0
SHEET_COLUMNS, SHEET_SIDE = 4, 480


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act: what happens to the clip, and what the verifier must say."""

    name: str
    expected: str
    story: str
    make: Callable[["Stage"], Path]


class Stage:
    """The demo's folder: the unmarked clip, the release, and every attacked copy."""

    def __init__(self, folder: Path, settings: Settings, *, released: Path) -> None:
        self.folder, self.settings, self.released = folder, settings, released
        self.unmarked = character_clip(UNMARKED, folder / "character.mp4")

    def verify(self, act: Act) -> str:
        """Verify what `act` makes, write its report, and say the verdict."""
        clip = act.make(self)
        with open_local(self.settings) as verifier:
            report = verifier.verify(clip, strip=True)
        target = self.folder / f"report-{act.name}.html"
        named = replace(report, file=clip.name)
        target.write_text(render([named], service=self.settings.service), encoding="utf-8")
        output.say(f"  {report.headline}")
        return str(report.verdict)

    def shrink(self) -> Path:
        """The release at three quarters of its size, re-encoded without its metadata, as platforms do."""
        target = self.folder / "shrunk.mp4"
        with open_clip(self.released, limits=media_limits(self.settings)) as clip:
            info = replace(
                clip.info, width=clip.info.width * 3 // 8 * 2, height=clip.info.height * 3 // 8 * 2
            )
            with ClipWriter(target, info, crf=PLATFORM_CRF) as writer:
                for frame in clip.frames():
                    writer.write(_resized(frame, info))
        return target

    def change_byte(self) -> Path:
        """The release with one byte of its picture data changed."""
        target = self.folder / "changed.mp4"
        content = bytearray(self.released.read_bytes())
        # The middle of the file lies in its picture data: the index is at the front.
        content[len(content) // 2] ^= 1
        target.write_bytes(content)
        return target

    def forge(self) -> Path:
        """The unmarked clip, signed by a stranger whose certificates bear our very names."""
        target, now = self.folder / "forged.mp4", datetime.now(UTC)
        stranger = ensure_pki(self.folder / "stranger" / "pki", now=now)
        with open_clip(self.unmarked, limits=media_limits(self.settings)) as clip:
            thumbnail = jpeg(next(clip.frames()), 160)
        product = Agent(name="Countermark", version="1")
        facts = ReleaseFacts(
            urn=new_urn(), title="forged", product=product, created_at=now.isoformat(), payload=1,
            fingerprint=b"\1\0\0\0", thumbnail=thumbnail, release={},
        )  # fmt: skip
        taken = Source(label=PARENT, title="character.mp4", media="video/mp4", digest="")
        document = guarded(facts, parent=taken, visible_mark=False)
        with local_tsa(stranger, clock=lambda: now) as tsa:
            sign_clip(
                self.unmarked,
                target,
                document,
                signer=LocalKeySigner(stranger),
                tsa=tsa,
                trust=stranger.trust,
            )
        return target

    def contact_sheet(self) -> Path:
        """Frames of the release side by side, as a PNG."""
        target = self.folder / "contact-sheet.png"
        with open_clip(self.released, limits=media_limits(self.settings)) as clip:
            frames = (clip.info.duration or 1) * float(clip.info.frame_rate or 1)
            wanted = max(1, int(frames) // (2 * SHEET_COLUMNS))
            tiles = [_tile(frame) for frame in clip.frames() if frame.index % wanted == 0]
        rows = [np.hstack(row) for row in _rows(tiles[: 2 * SHEET_COLUMNS])]
        cv2.imwrite(str(target), np.vstack(rows))
        return target


def _resized(frame: Frame, info: ClipInfo) -> Frame:
    assert frame.u is not None and frame.v is not None  # noqa: S101, PT018 - asked for all planes
    size, half = (info.width, info.height), (info.width // 2, info.height // 2)
    sizes = ((frame.y, size), (frame.u, half), (frame.v, half))
    y, u, v = (cv2.resize(plane, to, interpolation=cv2.INTER_AREA).astype(np.uint8) for plane, to in sizes)
    return replace(frame, y=y, u=u, v=v)


def _tile(frame: Frame) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(jpeg(frame, SHEET_SIDE), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None  # noqa: S101 - encoded a line above
    return picture.astype(np.uint8, copy=False)


def _rows(tiles: list[NDArray[np.uint8]]) -> Iterator[list[NDArray[np.uint8]]]:
    for start in range(0, len(tiles) - SHEET_COLUMNS + 1, SHEET_COLUMNS):
        yield tiles[start : start + SHEET_COLUMNS]


ACTS: Final = (
    Act(name="as-released", expected="intact", story="nothing happened to it", make=lambda s: s.released),
    Act(
        name="shrunk-and-stripped", expected="recovered",
        story="three quarters of its size, re-encoded, metadata gone", make=Stage.shrink,
    ),
    Act(name="one-byte-changed", expected="altered", story="one byte is different", make=Stage.change_byte),
    Act(name="unmarked", expected="none", story="a clip that never left", make=lambda s: s.unmarked),
    Act(
        name="stranger", expected="untrusted-claim", story="a stranger signs with our names", make=Stage.forge
    ),
)  # fmt: skip
