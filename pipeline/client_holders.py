"""What rights holders ask a service with `pipeline.client`: opt-outs and catalogues of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.client_wire import Json, Wire


class HolderCalls(Wire):
    """The calls that need a key for ``optout``."""

    def optout(
        self, name: str, *, pictures: Sequence[Path] = (), negatives: Sequence[Path] = (),
        aliases: Sequence[str] = (), attributes: Sequence[str] = (), exclusions: Sequence[str] = (),
        context: Sequence[str] = (), **fields: str,
    ) -> Json:  # fmt: skip
        """Register an opt-out of this account; ``fields``: kind, description, mode. The answer holds the
        receipt. The same again is the same opt-out. Raises: Problem, OSError.
        """
        parts = [*(("references", one) for one in pictures), *(("negatives", one) for one in negatives)]
        many = {
            "aliases": aliases, "attributes": attributes, "exclusions": exclusions, "context": context
        }  # fmt: skip
        listed = [(field_name, value) for field_name, values in many.items() for value in values]
        return self._upload("/v1/optouts", parts, [("name", name), *fields.items(), *listed], {})

    def optouts(self) -> Iterator[Json]:
        """All opt-outs of this account, oldest first."""
        return self._pages("/v1/optouts", "optouts")

    def withdraw_optout(self, subject: str) -> Json:
        """Take an opt-out of this account out of force. Raises: Problem."""
        told: Json = self._send("POST", f"/v1/optouts/{subject}/withdraw").json()
        return told
