"""Requests as OpenAPI shows them: bodies are checked against these, and unknown members refused."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from registry.vocabulary import CONTENT_CLASSES, PURPOSES, REGIONS

DEFAULT_SECONDS: Final = 3.0
MAX_SECONDS: Final = 60.0
MAX_SEED: Final = 2**32 - 1
# Told in OpenAPI; what is said otherwise is refused with a sentence that names the choices.
REGION: Final[dict[str, Any]] = {"enum": ["", *sorted(REGIONS)]}
PURPOSE: Final[dict[str, Any]] = {"enum": ["", *PURPOSES]}
PromptCheck = Literal["prompt_names", "prompt_descriptions", "unregistered_names", "unsafe_content"]
CONTENT: Final[dict[str, Any]] = {"enum": ["", *CONTENT_CLASSES]}


class Asked(BaseModel):
    """A request."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [values]})


class Judged(Asked):
    """What the gate is told of a clip that is wanted."""

    prompt: str = Field(description="what the clip is to show")
    history: list[str] = Field(default_factory=list, description="turns before the prompt, oldest first")
    enhanced_prompt: str | None = Field(
        None, description="what your enhancer made of the prompt: judged with it, and what is drawn"
    )
    policy: str | None = Field(None, max_length=40, description="the service's own policy, or a stricter one")
    region: str = Field(
        "", max_length=2, description="where it is shown, ISO 3166-1 alpha-2", json_schema_extra=REGION
    )
    purpose: str = Field(
        "", max_length=40, description="what it is for, of docs/rules.md", json_schema_extra=PURPOSE
    )
    content_class: str = Field(
        "", max_length=40, description="what it is about, of docs/rules.md", json_schema_extra=CONTENT
    )


class GenerationRequest(Judged):
    """A clip to make from a prompt."""

    model_config = _example(prompt="a fox in the snow", seconds=4.0, seed=7, purpose="personal")

    seconds: float = Field(DEFAULT_SECONDS, gt=0, le=MAX_SECONDS, description="length of the clip")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="the same seed gives the same clip")


class GenerationForm(GenerationRequest):
    """The same as fields of a form, where all is text."""

    model_config = ConfigDict(strict=False)


class PromptRequest(Judged):
    """A prompt to judge."""

    model_config = _example(prompt="it waves", history=["a fox in the snow"])

    checks: list[PromptCheck] | None = Field(
        None, min_length=1, max_length=4,
        description="only these checks of the policy, as prompt_names, which needs no model; a job has all",
    )  # fmt: skip


class DecisionRequest(Asked):
    """What a person decides about a case."""

    model_config = _example(decision="release", why="another person of that name")

    decision: Literal["release", "block", "ask"] = Field(
        description="release: what was found does not count; block: it may not leave, or not stay out; "
        "ask: of a held clip, the holders of what was found are asked first"
    )
    subjects: list[str] = Field(
        default_factory=list, max_length=100, description="of ask: whose holders, as in `askable`; empty: all"
    )
    why: str = Field("", max_length=4000, description="the reason; it is kept, and not public")


class AppealRequest(Asked):
    """What somebody objects to, and why."""

    model_config = _example(job="01a2259b-5c03-7c80-ae60-7262e7eaea76", text="It is the name of a village.")

    job: str | None = Field(None, max_length=36, description="a job that was refused")
    release: str | None = Field(None, max_length=36, description="a release that was withdrawn")
    text: str = Field(min_length=1, max_length=4000, description="why the decision is wrong")
