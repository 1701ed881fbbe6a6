"""Generators by name; no name is ever imported as code.

- ``embedded``: the small model of our own that ships.
- ``scene``: a drawn landscape, for tests and demonstrations; it does not read the prompt.
- ``diffusion:<folder or owner/name>[@revision]``: any text-to-video pipeline of diffusers.

``imported`` stands in manifests for clips that were made elsewhere and came in through `guard`; it makes
nothing.
"""

from pathlib import Path
from typing import Final

from generator.base import Generator
from generator.diffusion import DiffusionGenerator
from generator.enhance import PromptEnhancer
from generator.errors import GeneratorUnusable, RequestInvalid
from generator.loading import Memory
from generator.scene import SceneGenerator

EMBEDDED: Final = "embedded"
SCENE: Final = "scene"
DIFFUSION: Final = "diffusion:"
IMPORTED: Final = "imported"
MODEL: Final = Path(__file__).parent / "embedded" / "model"
DIGEST_FILE: Final = "digest.txt"  # of the embedded weights, written when they are exported


def open_generator(
    name: str, *, sha256: str | None = None, device: str = "auto", memory: Memory | None = None
) -> Generator:
    """The generator of a name. `sha256`: of the weights of a ``diffusion:`` model, checked before loading;
    `memory`: how such a model saves it.

    Raises: RequestInvalid for an unknown name, GeneratorUnusable.
    """
    if name == EMBEDDED:
        return _embedded(device)
    if name == SCENE:
        return SceneGenerator()
    if name == IMPORTED:
        raise RequestInvalid("imported names clips that were made elsewhere; give the file to guard")
    if name.startswith(DIFFUSION) and name != DIFFUSION:
        source, revision = _split(name.removeprefix(DIFFUSION))
        return DiffusionGenerator(source, revision=revision, sha256=sha256, device=device, memory=memory)
    raise RequestInvalid(
        f"no generator is called {name[:60]!r}; choose {EMBEDDED}, {SCENE}, {DIFFUSION}<folder or owner/name>"
    )


def open_enhancer(name: str, *, sha256: str | None = None, device: str = "auto") -> PromptEnhancer:
    """The model that rewrites prompts: ``<folder or owner/name>[@revision]``. Raises: GeneratorUnusable."""
    source, revision = _split(name)
    return PromptEnhancer(source, revision=revision, sha256=sha256, device=device)


def _embedded(device: str) -> DiffusionGenerator:
    try:
        digest = (MODEL / DIGEST_FILE).read_text(encoding="ascii").strip()
    except OSError:
        raise GeneratorUnusable("the embedded model is not installed; reinstall Countermark") from None
    return DiffusionGenerator(str(MODEL), sha256=digest, device=device, name=EMBEDDED)


def _split(source: str) -> tuple[str, str | None]:
    """A revision follows the last @, unless the whole is a folder."""
    if "@" not in source or Path(source).is_dir():
        return source, None
    place, _, revision = source.rpartition("@")
    return place, revision or None
