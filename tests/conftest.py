"""For every test: no network, skips that CI does not let pass, a database server, and real tiny clips.

The clips show a textured scene that moves, the same for the same arguments.
"""

import gc
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import cache, lru_cache
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar

import av
import numpy as np
import pytest
import typer
from hypothesis import settings
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks are not installed
sys.path.insert(0, str(Path(__file__).parent))  # openssl_tsa

import migrated_once

from benchmarks.tools.local_postgres import LocalServer, programs

Plane = NDArray[np.uint8]
SOUND_RATE = 48_000
TONE_STARTS = 0.25  # seconds of silence before the tone, so that tests can measure when it begins

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
NOT_HERE = "does not apply"  # a skip for a reason that no installation can change
_LOOPBACK = ("127.", "::1", "localhost")


def pytest_addoption(parser: pytest.Parser) -> None:
    # No environment variable: names with our prefix are settings, and unknown settings are refused.
    parser.addoption(
        "--require-all", action="store_true", help="a skipped test fails (CI installs everything)"
    )


def pytest_configure() -> None:
    # Seconds on a machine that others use too say nothing; a test that hangs runs into pytest's limit.
    settings.register_profile("no deadline", deadline=None)
    settings.load_profile("no deadline")
    sys.addaudithook(_loopback_only)
    migrated_once.install()
    # Started in the background, the suite ignores interrupts, and so would every server that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A command line's tree is the same each time; a tenth of a second for each command that a test gives.
    typer.main.get_command = cache(typer.main.get_command)
    # Torch and its friends leave a million objects: looking through them again and again takes its time.
    gc.set_threshold(50_000, 20, 50)


def _loopback_only(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = str(arguments[1][0])
        if not host.startswith(_LOOPBACK):
            raise RuntimeError(f"a test wanted to connect to {host}; tests stay on this machine")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _unskipped((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _unskipped((yield), collector.config)


def _unskipped(report: Report, config: pytest.Config) -> Report:
    """With --require-all, a skip becomes a failure, unless its reason says that the test does not apply."""
    if not config.getoption("--require-all") or not report.skipped or hasattr(report, "wasxfail"):
        return report
    if NOT_HERE not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped, but --require-all was given: {report.longrepr}"
    return report


class MakeClip(Protocol):
    """Writes a clip and returns its path; see `write_clip` for the arguments."""

    def __call__(
        self, path: Path, width: int = ..., height: int = ..., frames: int = ..., fps: Any = ..., **more: Any
    ) -> Path: ...


@lru_cache(maxsize=8)
def texture(height: int, width: int, seed: int) -> NDArray[np.float32]:
    """Noise at five scales, float32[h, w] with mean 0 and deviation 1; wraps around at its edges."""
    rng = np.random.default_rng(seed)
    whole = np.zeros((height, width), np.float32)
    for scale in (1, 2, 4, 8, 16):
        grid = rng.standard_normal((-(-height // scale), -(-width // scale))).astype(np.float32)
        whole += np.kron(grid, np.ones((scale, scale), np.float32))[:height, :width] * scale**0.5
    return (whole - whole.mean()) / whole.std()


def scene(index: int, width: int, height: int, seed: int = 0) -> tuple[Plane, Plane, Plane]:
    """Picture `index` of a scene that pans over a texture while a bright disc crosses it.

    Planes y uint8[h, w], u and v uint8[ceil(h/2), ceil(w/2)], limited range.
    """
    luma = 115 + 34 * np.roll(texture(height, width, seed), (index, 2 * index), (0, 1))
    rows, columns = np.ogrid[:height, :width]
    centre = width * (0.2 + 0.02 * index % 0.6)
    disc = (rows - height / 2) ** 2 + (columns - centre) ** 2 < (min(width, height) / 5) ** 2
    luma = np.where(disc, luma * 0.5 + 110, luma)
    half = (-(-height // 2), -(-width // 2))
    u = 118 + 12 * np.roll(texture(*half, seed + 1), index, 1)
    v = np.where(disc[::2, ::2], 150, 132 + 10 * texture(*half, seed + 2))
    return tuple(np.clip(plane, 16, 235).astype(np.uint8) for plane in (luma, u, v))  # type: ignore[return-value]


def picture(index: int, width: int, height: int, seed: int = 0) -> av.VideoFrame:
    """The same as a PyAV frame in yuv420p."""
    frame = av.VideoFrame(width, height, "yuv420p")
    for target, plane in zip(frame.planes, scene(index, width, height, seed), strict=True):
        stored = np.frombuffer(memoryview(target), np.uint8).reshape(-1, target.line_size)
        stored[: plane.shape[0], : plane.shape[1]] = plane
    return frame


def tone(samples: int) -> NDArray[np.float32]:
    """float32[2, samples] at 48 kHz: silence until `TONE_STARTS`, then 440 Hz."""
    time = np.arange(samples) / SOUND_RATE
    wave = np.where(time >= TONE_STARTS, 0.5 * np.sin(2 * np.pi * 440 * time), 0)
    return np.stack([wave, wave]).astype(np.float32)


def write_clip(
    path: Path,
    width: int = 160,
    height: int = 96,
    frames: int = 12,
    fps: Any = 24,
    *,
    audio: bool = False,
    codec: str = "libx264",
    audio_codec: str = "aac",
    pix_fmt: str = "yuv420p",
    seed: int = 0,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    rotate: tuple[float, bool, bool] | None = None,
    sample_aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    container: str | None = None,
    colour: tuple[int, int, int, int] | None = None,
) -> Path:
    """Write `frames` pictures of `scene` to `path`; the suffix or ``container`` says which container.

    ``pts`` counts ``time_base`` (default 1/fps). ``rotate``: degrees anticlockwise, mirror left-right,
    mirror top-bottom, as a display matrix. ``colour``: range, primaries, transfer, matrix.
    """
    with av.open(str(path), "w", format=container, container_options=container_options) as out:
        defaults = {"preset": "ultrafast", "crf": "18"} if codec == "libx264" else {}
        video = out.add_stream(codec, Fraction(fps), defaults | (options or {}))
        video.width, video.height, video.pix_fmt = width, height, pix_fmt
        video.time_base = video.codec_context.time_base = tick = time_base or 1 / Fraction(fps)
        if sample_aspect:
            video.codec_context.sample_aspect_ratio = sample_aspect
        if rotate:
            video.set_display_rotation(rotate[0], hflip=rotate[1], vflip=rotate[2])
        if colour:
            context = video.codec_context
            context.color_range, context.color_primaries, context.color_trc, context.colorspace = colour
        sound = out.add_stream(audio_codec, SOUND_RATE, layout="stereo") if audio else None
        for index in range(frames):
            frame = picture(index, width, height, seed)
            if pix_fmt != "yuv420p":
                frame = frame.reformat(format=pix_fmt)
            frame.pts, frame.time_base = (pts[index] if pts else index), tick
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if sound:
            samples = tone(int(frames / Fraction(fps) * SOUND_RATE))
            wave = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
            wave.sample_rate, wave.pts, wave.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
            out.mux(sound.encode(wave))
            out.mux(sound.encode(None))
    return path


@pytest.fixture(scope="session", name="make_clip")
def make_clip_fixture() -> MakeClip:
    """`write_clip`, for tests that cannot import this file."""
    return write_clip


@pytest.fixture(scope="session", name="scene")
def scene_fixture() -> Callable[..., tuple[Plane, Plane, Plane]]:
    """`scene`, for tests that cannot import this file."""
    return scene


class Server:
    """A throw-away PostgreSQL server: `make` gives a registry that was migrated once.

    Making a database is a few hundred files. So a registry that was used is emptied and used again, unless
    somebody changed more than its rows.
    """

    def __init__(self, local: LocalServer) -> None:
        from registry.db import open_database

        self.local, self._numbers, self._clean = local, count(1), list[str]()
        open_database(local.create("migrated")).dispose()
        names = local.execute(_TABLES, "migrated")
        rows = {name: local.execute(f'SELECT * FROM "{name}"', "migrated") for (name,) in names}
        self._rows = {name: found for name, found in rows.items() if found}
        self._reset = "".join(f'DELETE FROM "{name}";' for name in rows)
        self._shape = local.execute(_SHAPE, "migrated")

    @contextmanager
    def make(self, *, empty: bool = False) -> Iterator[str]:
        """A registry of its own, or a database without one, until the end of the block; its URL."""
        name = self._clean.pop() if self._clean and not empty else f"test{next(self._numbers)}"
        if name not in self._known():
            self.local.create(name, *(("template0",) if empty else ("migrated", self._strategy())))
        try:
            yield self.local.url(name)
        finally:
            if empty or not self._emptied(name):
                self.local.drop(name)
            else:
                self._clean.append(name)

    def _known(self) -> set[str]:
        return {name for (name,) in self.local.execute("SELECT datname FROM pg_database")}

    def _strategy(self) -> str:
        """The faster way to copy a small database; version 15 has a choice."""
        ((version,),) = self.local.execute("SELECT current_setting('server_version_num')::int")
        return "STRATEGY file_copy" if version >= 150000 else ""

    def _emptied(self, name: str) -> bool:
        """Put a registry back to what it was after its migration; False if it is not the same any more."""
        import psycopg

        ended = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        self.local.execute(ended)
        with psycopg.connect(self.local.url(name)) as conn:
            if conn.execute(_SHAPE.encode()).fetchall() != self._shape:
                return False
            conn.execute("SET session_replication_role = replica")  # no triggers, no foreign keys
            conn.execute(self._reset.encode())
            for table, rows in self._rows.items():
                marks = ", ".join(["%s"] * len(rows[0]))
                conn.cursor().executemany(f'INSERT INTO "{table}" VALUES ({marks})'.encode(), rows)
            conn.execute(_SEQUENCES.encode())
        return True


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
_SEQUENCES = (
    "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false) FROM pg_sequences "
    "WHERE schemaname = 'public'"
)
# Tables, triggers, functions, schemas, and settings of the database.
_SHAPE = (
    "SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_trigger WHERE tgenabled = 'O'), "
    "(SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_namespace), (SELECT count(*) FROM "
    "pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()), "
    "(SELECT count(*) FROM pg_class WHERE relacl IS NOT NULL)"
)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One server for the whole session (one for each worker of pytest-xdist), started when it is needed."""
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed here; install the package postgresql")
    pytest.importorskip("psycopg", reason="psycopg is not installed here")
    with LocalServer() as local:
        yield Server(local)


class BucketServer:
    """An S3 server on loopback that can go away and come back with what it holds."""

    def __init__(self) -> None:
        self._server: Any = None
        self._port = 0
        self.start()

    def start(self) -> None:
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._server.start()
        _, self._port = self._server.get_host_and_port()

    def stop(self) -> None:
        self._server.stop()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[BucketServer]:
    """One for the whole session, started when it is needed."""
    pytest.importorskip("s3fs", reason="s3fs is not installed here")
    pytest.importorskip("moto.server", reason="moto is not installed here")
    server = BucketServer()
    yield server
    server.stop()


@pytest.fixture
def bucket(bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket; who opens it finds server and credentials in the environment."""
    from s3fs import S3FileSystem

    for name, value in {
        "AWS_ENDPOINT_URL": bucket_server.address, "AWS_ACCESS_KEY_ID": "test", "AWS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "hush-hush", "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    name = f"test-{next(_BUCKETS)}"
    S3FileSystem(skip_instance_cache=True).mkdir(name)
    return f"s3://{name}/clips"


_BUCKETS = count(1)
