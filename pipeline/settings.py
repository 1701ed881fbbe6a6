"""The only reader of the environment: prefix ``COUNTERMARK_`` and ``<home>/settings.toml``.

The environment wins over the file, `--home` over both. A name that is not in `Settings` is refused in
both places, so that a misspelt limit never silently stays at its default.
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline.errors import UsageError
from pipeline.home import Home
from pipeline.sandbox import ProcessLimits
from pipeline.types import Json
from registry.party_types import Terms
from registry.postgres_url import is_url

PREFIX: Final = "COUNTERMARK_"
FILE: Final = "settings.toml"
DEFAULT_HOME: Final = "~/.countermark"
MIB: Final = 1024 * 1024
_FILES: Final = re.compile(
    r"file:///[^?#%]+|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?", re.ASCII
)
_RESPONDER: Final = re.compile(
    r"https?://([A-Za-z0-9.-]{1,253}|\[[0-9a-f:]{2,45}\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?", re.ASCII
)


class Settings(BaseModel):
    """All settings; `home` cannot stand in the file, since the file lies in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Path
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL database of the registry; empty: `registry.db` in the home"
    )
    files_url: str | None = Field(
        None, description="where files lie: file:///folder or s3://bucket/prefix; empty: `files` in the home"
    )
    policy: str = Field("opt-out", description="policy preset that decides when none is named")
    clip_model: str = Field("embedded", description="open_clip model by name or folder, or `embedded`")
    clip_sha256: str | None = Field(None, description="digest that the weights of that model must have")
    face_model: str = Field("embedded", description="folder with YuNet and SFace, or `embedded`: dlib's")
    face_detector_sha256: str | None = Field(None, description="digest that YuNet's file must have")
    face_recogniser_sha256: str | None = Field(None, description="digest that SFace's file must have")
    prompt_judge: str | None = Field(
        None, max_length=500, description="a model that judges prompts beside the embedded one; empty: none"
    )
    prompt_judge_sha256: str | None = Field(None, description="digest that this judge's files must have")
    prompt_judge_form: Literal["auto", "qwen3guard", "llama-guard", "granite-guardian", "questions"] = Field(
        "auto", description="how this judge is asked and answers"
    )
    description_judge: str | None = Field(
        None, max_length=500,
        description="a chat model that is asked whether a prompt means a subject or one like it; empty: none",
    )  # fmt: skip
    description_judge_sha256: str | None = Field(None, description="digest that this judge's files must have")
    description_judge_seconds: float = Field(
        20.0, gt=0, le=600, description="time that this judge has for one prompt"
    )
    frame_head: Path | None = Field(
        None, description="concept head that judges whether frames are unsafe; empty: none"
    )
    frame_head_sha256: str | None = Field(None, description="digest that this file must have")
    frame_classifier: str | None = Field(
        None, max_length=500, description="an image classifier that judges frames; empty: none"
    )
    frame_classifier_sha256: str | None = Field(None, description="digest that its files must have")
    frame_classifier_labels: str = Field(
        "", max_length=10_000, description="what its labels mean, as nsfw=sexual,normal=harmless"
    )
    unsafe_frames: Literal["optional", "required"] = Field(
        "optional", description="whether frames must be judged, or only are where a model for it is set"
    )
    generator: str = Field("embedded", description="what `create` draws with, when none is named")
    generator_offload: bool = Field(
        False, description="whether parts of a diffusion model wait in the host's memory until they work"
    )
    generator_tiling: bool = Field(False, description="whether a diffusion model decodes frames in tiles")
    generator_precision: Literal["auto", "bfloat16", "float32"] = Field(
        "auto", description="precision of a diffusion model's weights"
    )
    preview: Literal["off", "refuse", "hold"] = Field(
        "hold", description="what a frame that is looked at while a clip is generated may stop"
    )
    preview_share: float = Field(
        0.55, ge=0.2, le=0.9, description="share of the steps after which that frame is looked at"
    )
    rewrite: bool = Field(
        False, description="draw a rewritten prompt where one is held only since it may describe a subject"
    )
    enhancer: str | None = Field(
        None, description="model that rewrites prompts before `create` draws: a folder or owner/name"
    )
    enhancer_sha256: str | None = Field(None, description="digest that the weights of that model must have")
    max_prompt_bytes: int = Field(100_000, gt=0, description="length of a prompt")
    face_days: int = Field(365, ge=0, description="days for which faces seen in released clips are kept")
    ask_days: float = Field(
        7.0, ge=0, le=365, description="days in which a holder who is asked may answer; then it is a refusal"
    )
    claim_days: int = Field(14, gt=0, le=3650, description="days for which an unverified claim blocks")
    self_service: int = Field(
        50, ge=0, description="opt-outs a day by people on the pages who have no key; 0: only with a key"
    )
    claim_cap: int = Field(10, ge=0, description="opt-outs of an unverified party that block at a time")
    evidence_days: int = Field(180, gt=0, le=3650, description="days for which evidence of claims is kept")
    undo_seconds: float = Field(
        10.0, ge=0, le=60, description="seconds in which a decision made on the pages can be undone; 0: none"
    )
    retroscan_review: Literal["hold", "case"] = Field(
        "hold", description="released clips that a new wish asks to look at: held back meanwhile, or served"
    )
    sound: Literal["strip", "hold", "accept"] = Field(
        "strip", description="what becomes of sound that nobody listened to, when nothing else is said"
    )
    speech_model: str | None = Field(
        None, description="model that writes down what is said in clips: a folder or owner/name"
    )
    speech_sha256: str | None = Field(None, description="digest that the weights of that model must have")
    service: str = Field("countermark", max_length=24, description="name of the service, on the visible mark")
    contact: str | None = Field(
        None, max_length=200, description="where people object to a decision, told with every refusal"
    )
    appeal_days: int = Field(
        183, ge=1, le=3650, description="days within which somebody may appeal against a decision"
    )
    label: str = Field("AI-generated", max_length=24, description="what the visible mark says of the clip")
    mark_size: float = Field(
        1.0, ge=0.8, le=1.6, description="height of the visible mark, times the usual one"
    )
    mark_plate: Literal["dark", "light"] = Field("dark", description="look of its plates")
    mark_opacity: float = Field(0.62, ge=0.5, le=0.95, description="opacity of its plates")
    standing_label: str = Field(
        "", max_length=24, description="text that stands still at the start of a clip; empty: none"
    )
    standing_seconds: float = Field(2.5, ge=2, le=10, description="for so long")
    standing_end: bool = Field(False, description="and at the end of the clip as well")
    crf: float = Field(18.0, ge=0, le=35, description="x264 quality of released files")
    preset: Literal["ultrafast", "veryfast", "fast", "medium", "slow"] = Field(
        "fast", description="x264 speed of released files"
    )
    keys_passphrase: SecretStr | None = Field(
        None, description="pass phrase that opens sealed keys; only in the environment, never in the file"
    )
    keys_passphrase_file: Path | None = Field(
        None, description="file outside the home that holds this pass phrase, read whenever it is needed"
    )
    tsa_url: str | None = Field(None, description="RFC 3161 time-stamp service; empty: the local one")
    tsa_roots: Path | None = Field(None, description="PEM file with the roots of that service")
    foreign_roots: Path | None = Field(
        None, description="PEM file with roots of other signers whose clips then read as foreign"
    )
    signer: str = Field(
        "local", max_length=2000, description="key that signs claims: local, pkcs11:… or kms:arn:…"
    )
    signer_chain: Path | None = Field(
        None, description="PEM file with the certificates of that key, leaf first; not with local"
    )
    signer_pin: SecretStr | None = Field(
        None, description="PIN of its PKCS#11 token, where the URI names no pin-source"
    )
    ocsp: Literal["off", "require"] = Field(
        "off", description="whether verifying asks if a signer of ours was revoked"
    )
    ocsp_responders: str = Field(
        "", max_length=2000, description="addresses of the responders that are asked, with commas between"
    )
    max_bytes: int = Field(8192 * MIB, gt=0, description="bytes of a file that is taken in")
    max_pixels: int = Field(8192 * 4320, gt=0, description="pixels of one frame")
    max_frames: int = Field(216_000, gt=0, description="frames of a clip")
    max_seconds: float = Field(7200.0, gt=0, description="length of a clip")
    reader_memory_mib: int = Field(
        4096, ge=256, description="memory of the process that reads untrusted files"
    )
    reader_seconds: float = Field(3600.0, gt=0, description="time that this process may keep us waiting")

    workers: int = Field(
        1, ge=0, le=64, description="jobs that `serve` or a `worker` runs at a time; 0: `serve` runs none"
    )
    max_queue: int = Field(16, ge=1, description="jobs, and as many looks, that wait before 503 is answered")
    max_queue_account: int = Field(
        8, ge=1, description="jobs of one account that wait before 429 is answered"
    )
    lease_seconds: float = Field(
        15.0, ge=3, le=300, description="silence after which a process is taken for dead (PostgreSQL only)"
    )
    max_connections: int = Field(128, ge=4, description="connections that `serve` keeps at a time")
    max_uploads: int = Field(8, ge=1, description="uploads that `serve` takes in at a time")
    max_upload_bytes: int = Field(1024 * MIB, gt=0, description="bytes of an uploaded clip and its fields")
    max_optout_bytes: int = Field(256 * MIB, gt=0, description="bytes of an opt-out with its pictures")
    max_upload_parts: int = Field(48, ge=1, description="fields and files of one upload")
    min_free_mib: int = Field(512, ge=0, description="free disk in MiB below which `serve` is not ready")
    max_json_bytes: int = Field(MIB // 4, gt=0, description="bytes of a request without files")
    upload_seconds: float = Field(600.0, gt=0, description="time that one request may take to arrive")
    idle_seconds: float = Field(20.0, gt=0, description="time that a client may send or read nothing")
    log_format: Literal["text", "json"] = Field("text", description="lines of the log of `serve`")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="from which on")
    rate_reads: int = Field(
        1200, ge=0, description="requests a minute that read, for each key, or address without one; 0: any"
    )
    rate_writes: int = Field(300, ge=0, description="the same of requests that write; 0: any number")
    rate_moderation: int = Field(12_000, ge=0, description="the same of prompts that are judged; 0: any")
    rate_uploads: int = Field(120, ge=0, description="the same of requests with files; 0: any number")
    key_addresses: int = Field(
        32,
        ge=0,
        description="addresses from which a key may be used within an hour; 0: any number",
    )
    near_queries: int = Field(
        10,
        ge=0,
        description="different near-duplicates of a clip that a stranger may have verified; 0: any",
    )
    near_queries_all: int = Field(200, ge=0, description="and all strangers together; 0: any number")
    near_hours: float = Field(24.0, gt=0, le=720, description="within so many hours")

    @field_validator("database_url")
    @classmethod
    def _postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not is_url(url.get_secret_value()):
            raise ValueError("it is not of the form postgresql://user@host/database")
        return url

    @field_validator("files_url")
    @classmethod
    def _file_or_s3(cls, url: str | None) -> str | None:
        if url is not None and not _FILES.fullmatch(url):
            raise ValueError("it is neither of the form file:///folder nor s3://bucket/prefix")
        return url

    @model_validator(mode="after")
    def _one_passphrase(self) -> Self:
        if self.keys_passphrase is not None and self.keys_passphrase_file is not None:
            raise ValueError("keys_passphrase and keys_passphrase_file are both set; set one of them")
        return self

    @field_validator("signer")
    @classmethod
    def _known_signer(cls, signer: str) -> str:
        if signer != "local" and not signer.startswith(("pkcs11:", "kms:")):
            raise ValueError("it is neither local nor pkcs11:… nor kms:arn:…")
        return signer

    @field_validator("ocsp_responders")
    @classmethod
    def _addresses(cls, responders: str) -> str:
        if not all(_RESPONDER.fullmatch(one.strip()) for one in responders.split(",") if responders):
            raise ValueError("they are not of the form http://host:port/path, with commas between")
        return responders

    @model_validator(mode="after")
    def _somebody_to_ask(self) -> Self:
        if self.ocsp == "require" and not self.ocsp_responders.strip():
            raise ValueError("ocsp is require, but ocsp_responders names nobody to ask")
        return self

    @property
    def asked_responders(self) -> tuple[str, ...] | None:
        """Addresses of the OCSP responders that verifying asks; None: nobody is asked."""
        named = tuple(one.strip() for one in self.ocsp_responders.split(",") if one.strip())
        return named if self.ocsp == "require" else None

    @property
    def files(self) -> Path:
        """The folder of staging, and of all files where no bucket is named."""
        named = (self.files_url or "").partition("file://")[2]
        return Path(named) if named else Home(self.home).files

    @property
    def database(self) -> Path | str:
        """The registry, as `registry.db.open_database` takes it; never printed: it may hold a password."""
        url = self.database_url
        return Home(self.home).database if url is None else url.get_secret_value()

    @property
    def mark_style(self) -> Json:
        """How the visible mark is to look, as a job records it; empty where it is as usual."""
        told: Json = {
            "size": self.mark_size,
            "light": self.mark_plate == "light",
            "opacity": self.mark_opacity,
        }
        if self.standing_label:
            told |= {
                "standing": self.standing_label, "standing_seconds": self.standing_seconds,
                "standing_end": self.standing_end,
            }  # fmt: skip
        return {} if told == {"size": 1.0, "light": False, "opacity": 0.62} else told

    @property
    def has_registry(self) -> bool:
        """Whether a registry was begun, or one is named."""
        return not isinstance(self.database, Path) or self.database.is_file()

    @property
    def terms(self) -> Terms:
        """What holds for parties that nobody verified."""
        return Terms(days=self.claim_days, cap=self.claim_cap)

    @property
    def process_limits(self) -> ProcessLimits:
        """Limits of the child process that reads untrusted bytes."""
        return ProcessLimits(
            memory_mib=self.reader_memory_mib, cpu_seconds=int(self.reader_seconds * 2) + 1,
            wall_seconds=self.reader_seconds,
        )  # fmt: skip


def load(home: Path | None = None) -> Settings:
    """Settings of `home`, else of ``COUNTERMARK_HOME``, else of the default home.

    Raises: UsageError for an unknown name, a value of the wrong kind, or a damaged file.
    """
    values = _environment()
    named = values.pop("home", DEFAULT_HOME)
    try:
        place = Path(home or named).expanduser().absolute()
    except (RuntimeError, OSError):  # no such user, no home of this user, or the working folder is gone
        raise UsageError(f"the home {home or named} cannot be found; name one with --home") from None
    try:
        return Settings(**(_file(place / FILE) | values), home=place)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "settings"
        raise UsageError(f"the setting {name} is wrong ({first['msg']}); see docs/settings.md") from None


def _environment() -> dict[str, Any]:
    found = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in os.environ.items()
        if name.startswith(PREFIX)
    }
    return {name: value for name, value in found.items() if value != ""}


def _file(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read ({error}); mend or remove it") from None
    if "home" in document:
        raise UsageError(f"{path} may not set home; use --home or {PREFIX}HOME")
    if "keys_passphrase" in document:  # whoever has a copy of the home would have both
        raise UsageError(f"{path} may not set keys_passphrase; use keys_passphrase_file")
    return document
