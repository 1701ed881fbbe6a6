"""Whatever processes do, and whenever they fall silent: a job has at most one effective owner."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from registry_builders import DATABASE_URL, LEASED, Home
from sqlalchemy import select

from registry.db import read, write
from registry.errors import ConstraintBroken, JobNotOwned, RegistryBusy
from registry.jobs import Room
from registry.leases import Leases
from registry.tables import job as table
from registry.tables_workers import worker
from registry.types import Job, JobState

PROCESSES = st.integers(0, 2)
KEYS = st.sampled_from(["a", "b"])
ROOM = Room(all=9, each=9, account="")


class Owners(RuleBasedStateMachine):
    """Three processes and two jobs; each remembers what it was ever given, and tries it again later."""

    server: ClassVar[Any] = None

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        root = Path(self.stack.enter_context(TemporaryDirectory()))
        (root / LEASED).write_text("1e6")
        if self.server is not None:
            (root / DATABASE_URL).write_text(self.stack.enter_context(self.server.make()))
        self.home = self.stack.enter_context(Home(root))
        self.stack.callback(self.home.engine.dispose)
        self.processes = [self.stack.enter_context(self.home.another()) for _ in range(3)]
        self.given: list[tuple[int, Job]] = []
        self.count = 0

    def _own(self, process: int, job: Job | None) -> None:
        if job is not None and job.owner is not None:
            self.given.append((process, job))

    def _leases(self, process: int) -> Leases:
        found = self.processes[process]._ownership
        assert isinstance(found, Leases)
        return found

    @rule(process=PROCESSES, key=KEYS)
    def submit(self, process: int, key: str) -> None:
        try:
            self._own(process, self.processes[process].submit("make", key, {}))
        except RegistryBusy:
            assert self._leases(process).worker is None  # it finds that it was taken for dead

    @rule(process=PROCESSES, key=KEYS)
    def enqueue(self, process: int, key: str) -> None:
        assert self.processes[process].enqueue("make", key, {}, ROOM).owner is None

    @rule(process=PROCESSES, begun=st.booleans())
    def take(self, process: int, begun: bool) -> None:
        try:
            self._own(process, self.processes[process].take(begun=begun))
        except RegistryBusy:
            assert self._leases(process).worker is None

    @rule(process=PROCESSES)
    def fall_silent(self, process: int) -> None:
        with write(self.home.engine) as conn:
            mine = worker.update().where(worker.c.id == self._leases(process).worker)
            conn.execute(mine.where(worker.c.ended_at.is_(None)).values(seen_at=1.0))

    @rule(process=PROCESSES)
    def live(self, process: int) -> None:
        self._leases(process).live()

    @rule(process=PROCESSES)
    def close(self, process: int) -> None:
        self.processes[process].close()

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """Whoever records a step is the one whom the database calls the owner."""
        self._try(data, lambda jobs, job: jobs.step(job, f"step {self.count}", lambda: 1))

    @rule(data=st.data(), state=st.sampled_from([JobState.FAILED, JobState.REFUSED]))
    def finish(self, data: st.DataObject, state: JobState) -> None:
        before = self._rows()
        effective = self._try(data, lambda jobs, job: jobs.finish(job, state, {}), many=True)
        assert effective or self._rows() == before

    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        self._try(data, lambda jobs, job: jobs.abandon(job))

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.given:
            process, job = data.draw(st.sampled_from(self.given))
            self.processes[process].leave(job)

    def _try(self, data: st.DataObject, act: Any, *, many: bool = False) -> bool:
        """Let somebody who once was given a job do something with it; whether it had an effect."""
        if not self.given:
            return False
        self.count += 1
        process, job = data.draw(st.sampled_from(self.given))
        row = self._rows()[job.id]
        owns = row.owner == job.owner and row.state == JobState.OPEN
        try:
            act(self.processes[process], job)
        except (JobNotOwned, ConstraintBroken):  # the latter: it ended in another way
            assert not owns
        else:
            assert owns or many  # to finish again, in the same way, changes nothing
        return owns

    def _rows(self) -> dict[str, Any]:
        with read(self.home.engine) as conn:
            return {row.id: row for row in conn.execute(select(table))}

    @invariant()
    def at_most_one_owner(self) -> None:
        """Of all who were ever given a job, one at most may still act on it."""
        able: dict[str, set[str | None]] = {}
        for process, job in self.given:
            try:
                self.processes[process].demand(job)
            except JobNotOwned:
                continue
            able.setdefault(job.id, set()).add(job.owner)
        assert all(len(tokens) == 1 for tokens in able.values())

    def teardown(self) -> None:
        """When all of them are gone, whoever comes next is given every open job."""
        try:
            for process in self.processes:
                process.close()
            with self.home.another() as last:
                taken = {job.id for job in last.resume()}
                assert taken == {row.id for row in self._rows().values() if row.state == JobState.OPEN}
        finally:
            self.stack.close()


@pytest.mark.usefixtures("patient")
def test_at_most_one_owner(server: Any) -> None:
    Owners.server = server
    limits = settings(max_examples=12, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(Owners, settings=limits)
