"""What suddenly matches too much: for how many, in how many accounts, and against what was usual."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.quarantine import LIMITS, Limits, forget, items_of, jumped, loudest, measured, note
from registry import optouts, quarantine
from registry.db import open_database
from registry.hits import Item, Traffic
from registry.jobs import StoredJobs
from registry.owners import LockFiles
from registry.quarantine import NAME, PICTURE, WORDS
from registry.subject_types import NameDraft, OptOutDraft, ReferenceDraft, VectorDraft
from registry.types import JobState

SHA = "ab" * 32
LOW = Limits(hits=4, accounts=2, share=0.5, name_share=0.5)


class World:
    """A registry in which jobs end on a day of the test's choice."""

    def __init__(self, folder: Any, signer: Any) -> None:
        self.engine, self.signer, self.now = open_database(folder / "r.db"), signer, "2026-03-01T12:00:00Z"
        self.jobs = StoredJobs(self.engine, LockFiles(folder / "locks"), lambda: self.now)
        self.count = 0

    def opt_out(self, kind: str = "character") -> str:
        face = kind == "person"
        vector = VectorDraft(
            reference=SHA, space="s", kind="portrait" if face else "picture", polarity=1,
            vector=b"\0\x3c" * 8, dimension=8,
        )  # fmt: skip
        draft = OptOutDraft(
            kind=kind, name="Zibble", owner="Studio", names=(NameDraft(text="Zibble"),),
            references=(ReferenceDraft(sha256=SHA, polarity=1, width=9, height=9),), vectors=(vector,),
        )  # fmt: skip
        return optouts.add(self.engine, draft, now=self.now, sign_checkpoint=self.signer).subject

    def end(self, account: str, *reasons: Any) -> tuple[Item, ...]:
        """A job that ends refused for these reasons, or released as far as counting goes."""
        self.count += 1
        job = self.jobs.submit("make", str(self.count), {})
        self.jobs.finish(job, JobState.REFUSED if reasons else JobState.FAILED, {})
        return note(
            self.engine, job.id, account, reasons, now=self.now, sign_checkpoint=self.signer, limits=LOW
        )

    def held(self) -> list[tuple[str, str, str]]:
        return [(one.kind, one.item, one.cause) for one in quarantine.listed(self.engine)]


@pytest.fixture
def world(tmp_path: Any) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from registry.checkpoint import NoteSigner, ed25519_key_id

    key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    key_id = ed25519_key_id("t", key.public_key().public_bytes_raw())
    made = World(tmp_path, NoteSigner(origin="o/log", name="t", key_id=key_id, sign=key.sign))
    yield made
    made.jobs.close()
    made.engine.dispose()


def reason(subject: str, check: str = "frames", reference: str = SHA) -> Any:
    return {
        "code": "c",
        "check": check,
        "detail": "d",
        "evidence": {"subject": subject, "reference": reference},
    }


def test_reasons_say_by_what_they_were_found() -> None:
    told = [
        reason("s", "prompt_names", "ZIBBLE  Tarr"), reason("s", "prompt_descriptions", ""),
        reason("s", "prompt_descriptions"), reason("s", "frames"), reason("t", "likeness"),
        reason("", "unregistered_names", "x"), {"code": "c", "check": "audio", "detail": "d"},
        {"code": "c", "check": "frames", "detail": "d", "evidence": {"state": "failed"}},
    ]  # fmt: skip
    assert items_of(told) == {
        Item("s", NAME, "zibble tarr"), Item("s", WORDS, ""), Item("s", PICTURE, SHA),
        Item("t", PICTURE, SHA),
    }  # fmt: skip


def test_a_sudden_match_for_several_accounts_is_quarantined(world: World) -> None:
    subject = world.opt_out()
    done = [world.end(f"account {n % 2}", reason(subject)) for n in range(4)]
    assert done == [(), (), (), (Item(subject, PICTURE, SHA),)]
    assert world.held() == [(PICTURE, SHA, "matches")]
    [told] = quarantine.listed(world.engine)
    assert told.why == "It was found in 4 of 4 jobs of 2 accounts within 2 days, after 0.0% of them before."
    assert world.end("account 3", reason(subject)) == ()  # once


def test_one_account_alone_quarantines_nothing(world: World) -> None:
    subject = world.opt_out()
    assert [world.end("one", reason(subject)) for _ in range(9)] == [()] * 9
    assert world.held() == []


def test_a_small_share_quarantines_nothing(world: World) -> None:
    subject = world.opt_out()
    for n in range(8):
        world.end(f"account {n}")
    assert [world.end(f"account {n}", reason(subject)) for n in range(7)] == [()] * 7
    assert world.held() == []


def test_what_always_matched_as_much_is_what_it_is(world: World) -> None:
    subject = world.opt_out()
    for day in range(1, 9):
        world.now = f"2026-03-0{day}T12:00:00Z"
        world.end(f"account {day}", reason(subject))
    for n in range(9):
        world.end(f"account {n}", reason(subject))
    assert world.held() == []


def test_what_an_operator_released_is_left_alone_for_a_while(world: World) -> None:
    subject = world.opt_out()
    for n in range(4):
        world.end(f"account {n}", reason(subject))
    quarantine.release(
        world.engine, subject, PICTURE, SHA, why="seen", now=world.now, sign_checkpoint=world.signer
    )
    for n in range(4):
        world.end(f"account {n}", reason(subject))
    assert world.held() == []
    world.now = "2026-06-01T12:00:00Z"
    for n in range(4):
        world.end(f"account {n}", reason(subject))
    assert world.held() == [(PICTURE, SHA, "matches")]


def test_the_portrait_of_a_person_is_only_reported(world: World) -> None:
    person = world.opt_out("person")
    for n in range(9):
        world.end(f"account {n}", reason(person, "likeness"))
    assert world.held() == []
    [loud] = loudest(world.engine, now=world.now, most=9, limits=LOW)
    assert (loud.item, loud.window.hits, loud.jumped) == (Item(person, PICTURE, SHA), 9, True)


def test_a_withdrawn_opt_out_is_left_alone(world: World) -> None:
    subject = world.opt_out()
    optouts.withdraw(world.engine, subject, why={}, now=world.now, sign_checkpoint=world.signer)
    assert [world.end(f"account {n}", reason(subject)) for n in range(6)] == [()] * 6


def test_a_name_is_counted_in_its_normal_form(world: World) -> None:
    subject = world.opt_out()
    for n in range(4):
        world.end(f"account {n}", reason(subject, "prompt_names", "Zibble"))
    record = optouts.get(world.engine, subject)
    assert record is not None
    assert [one.quarantined for one in record.names] == [True]


def test_old_counts_are_forgotten(world: World) -> None:
    subject = world.opt_out()
    world.end("one", reason(subject))
    assert forget(world.engine, now=world.now) == 0
    assert forget(world.engine, now="2026-09-01T00:00:00Z") == 1
    assert measured(world.engine, Item(subject, PICTURE, SHA), now=world.now).window.hits == 0


TRAFFIC = st.builds(
    lambda jobs, share, accounts: Traffic(hits=int(jobs * share), accounts=accounts, jobs=jobs),
    st.integers(0, 10_000), st.floats(0, 1), st.integers(0, 50),
)  # fmt: skip


@given(st.sampled_from((NAME, PICTURE, WORDS)), TRAFFIC, TRAFFIC)
def test_nothing_is_quarantined_below_any_limit(kind: str, window: Traffic, before: Traffic) -> None:
    if jumped(kind, window, before):
        assert window.hits >= LIMITS.hits
        assert window.accounts >= LIMITS.accounts
        assert window.share >= (LIMITS.name_share if kind == NAME else LIMITS.share)
        assert window.share >= LIMITS.rise * before.share
