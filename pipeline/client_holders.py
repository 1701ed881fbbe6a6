"""What rights holders ask a service with `pipeline.client`: opt-outs, catalogues, rules, claims."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.client_wire import Json, Wire, named


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

    def import_catalogue(
        self, catalogue: Path, *, pictures: Path | None = None, name: str | None = None,
        statements: Sequence[str] = (), **fields: str,
    ) -> Json:  # fmt: skip
        """Have a catalogue imported; ``pictures``: a zip file; ``name``: the same name is the same import;
        ``fields``: dry_run, skip_bad, speaks, claim, signature. Raises: Problem, OSError.
        """
        parts = [("catalogue", catalogue), *([("pictures", pictures)] if pictures else [])]
        told = [*fields.items(), *(("statement", one) for one in statements)]
        return self._upload("/v1/imports", parts, told, named(name))

    def import_state(self, import_id: str) -> Json:
        """How far an import of this account is. Raises: Problem."""
        told: Json = self._send("GET", f"/v1/imports/{import_id}").json()
        return told

    def imports(self) -> Iterator[Json]:
        """All imports of this account, oldest first."""
        return self._pages("/v1/imports", "imports")

    def wait_import(self, import_id: str, seconds: float = 3600.0) -> Json:
        """The import when it has ended, or as it is after so many seconds. Raises: Problem."""
        until, pause = time.monotonic() + seconds, 0.5
        while (told := self.import_state(import_id))["finished_at"] is None and time.monotonic() < until:
            self._sleep(min(pause, max(0.0, until - time.monotonic())))
            pause = min(pause * 1.5, 10.0)
        return told

    def import_lines(self, import_id: str, *, problems: bool = False) -> Iterator[Json]:
        """What came of each line; ``problems``: of those that are wrong, and why."""
        only = {"problems": "true"} if problems else {}
        return self._pages(f"/v1/imports/{import_id}/lines", "lines", only)

    def rules(self, subject: str, *, ended: bool = False) -> Iterator[Json]:
        """The rules of an opt-out of this account; ``ended``: also those of the past."""
        return self._pages(f"/v1/optouts/{subject}/rules", "rules", {"ended": "true"} if ended else {})

    def add_rule(self, subject: str, effect: str, **more: Any) -> Json:
        """Add a rule; ``more``: account, licence, valid_from, valid_until, priority, conditions. The same
        again is the same rule. Raises: Problem.
        """
        body = {"effect": effect} | more
        told: Json = self._send("POST", f"/v1/optouts/{subject}/rules", json=body).json()
        return told

    def end_rule(self, subject: str, rule: str) -> Json:
        """Take a rule or a licence out of force. Raises: Problem."""
        told: Json = self._send("POST", f"/v1/optouts/{subject}/rules/{rule}/end").json()
        return told

    def simulate(self, subject: str, effect: str, **more: Any) -> Json:
        """What a rule would make of released clips; ``more``: account, since, limit. Raises: Problem."""
        body = {"effect": effect} | more
        told: Json = self._send("POST", f"/v1/optouts/{subject}/simulate", json=body).json()
        return told

    def claims(self, state: str | None = None) -> Iterator[Json]:
        """The claims of the party that this account is called after, oldest first."""
        return self._pages("/v1/claims", "claims", {"state": state} if state else {})

    def add_evidence(self, claim: str, file: Path, **fields: str) -> Json:
        """Keep a file with a claim; ``fields``: note, type. Raises: Problem, OSError."""
        return self._upload(f"/v1/claims/{claim}/evidence", [("file", file)], [*fields.items()], {})
