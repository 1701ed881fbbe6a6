"""Makes ``import torchvision`` possible on a CPU build of torch; nothing else.

PyPI's torchvision carries operators compiled against CUDA, which a CPU build of torch cannot load. Its
Python part then stops at ``operator torchvision::nms does not exist``, and open_clip, transformers and
diffusers stop with it, although nothing that we use of them needs a compiled operator. Declaring the
operators that the import names is enough; calling one still fails, with torchvision's own words.
"""

from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch.library

NAMESPACE: Final = "torchvision"
# As torchvision's C++ declares them; its Python part registers fakes for these two without asking.
SCHEMAS: Final = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

# torch takes the definitions back when their Library is collected.
_kept: "list[torch.library.Library]" = []


@cache
def complete_torchvision() -> bool:
    """Declare the missing operators; to be called before torchvision or anything that imports it.

    Gives whether something was missing. Does nothing where torchvision is complete or not installed.
    Raises: ImportError when torch is not installed.
    """
    import torch

    package = PathFinder.find_spec(NAMESPACE)
    if package is None or _loads(package):
        return False
    library = torch.library.Library(NAMESPACE, "FRAGMENT")
    for schema in SCHEMAS:
        if not hasattr(torch.ops.torchvision, schema.partition("(")[0]):
            library.define(schema)
    _kept.append(library)
    return True


def _loads(package: ModuleSpec) -> bool:
    """Whether torchvision's compiled operators load, found the way torchvision finds them."""
    import torch

    compiled = PathFinder.find_spec("_C", package.submodule_search_locations)
    if compiled is None or compiled.origin is None:
        return False
    try:
        torch.ops.load_library(compiled.origin)
    except (ImportError, OSError):
        return False
    return True
