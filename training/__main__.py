"""``python -m training NAME``: runs a recipe, which is a package here that has a ``command`` module."""

import sys
from importlib import import_module
from pathlib import Path


def main() -> int:
    """Run the recipe that is named first with the rest of the arguments."""
    known = sorted(path.parent.name for path in Path(__file__).parent.glob("*/command.py"))
    if len(sys.argv) < 2 or sys.argv[1] not in known:
        print(f"name a recipe: {', '.join(known)}", file=sys.stderr)
        return 2
    name = sys.argv.pop(1)
    sys.argv[0] = f"python -m training {name}"
    return int(import_module(f"training.{name}.command").main())


if __name__ == "__main__":
    sys.exit(main())
