import json
from typing import Any

import numpy as np
import pytest
from registry_builders import KEY, KEY_ID, NOW, ORIGIN, SIGNER, Home, draft, picture, vector

from registry import drafts, log, optouts
from registry.checkpoint import open_note
from registry.db import read
from registry.errors import NotFound, OptOutInvalid
from registry.merkle import leaf_hash, verify_inclusion
from registry.subject_types import NameDraft, OptOutDraft, SubjectRecord
from registry.tables import embedding, party

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}
PICTURE = picture(1)
PICTURED = draft(
    names=(),
    references=(PICTURE,),
    vectors=(vector(kind="picture", reference=PICTURE.sha256),),
)


def get(home: Home, subject: str) -> SubjectRecord:
    found = optouts.get(home.engine, subject)
    assert found is not None
    return found


def heads(home: Home) -> int:
    with read(home.engine) as conn:
        return log.head(conn)


def test_a_receipt_proves_that_the_opt_out_is_in_the_log(home: Home) -> None:
    home.opt_out("another")
    made = home.opt_out()
    proof = made.proof
    note = open_note(
        proof.note, origin=ORIGIN, name="guard", key_id=KEY_ID,
        verify=lambda signature, text: KEY.public_key().verify(signature, text) is None,
    )  # fmt: skip
    assert leaf_hash(proof.entry) == proof.leaf_hash
    verify_inclusion(proof.leaf_hash, made.seq - 1, proof.tree_size, proof.path, note.root)
    assert json.loads(proof.entry)["public"]["subject"] == made.subject
    assert (made.seq, made.at, made.new) == (2, NOW, True)


def test_nobodys_name_is_public(home: Home) -> None:
    made = optouts.add(
        home.engine,
        draft("Ada Lovelace", "Byron Estate", kind="person", names=(NameDraft(text="Countess Ada"),)),
        **BY,
    )
    optouts.extend(home.engine, made.subject, names=[NameDraft(text="Lady Ada")], **BY)
    optouts.withdraw(home.engine, made.subject, why={"by": "Ada"}, **BY)
    with read(home.engine) as conn:
        entries = log.entries(conn, 0, 9)
    assert [e.kind for e in entries] == ["opt-out", "name", "opt-out"]
    for entry in entries:
        assert not any(word in entry.entry for word in (b"Ada", b"Lovelace", b"Byron"))
    assert entries[0].private is not None
    assert entries[0].private["owner"] == "Byron Estate"
    assert entries[0].private["names"]["first"] == ["Countess Ada"]  # type: ignore[index, call-overload]


def test_everything_of_a_draft_is_there_again(home: Home) -> None:
    given = OptOutDraft(
        kind="person",
        name="Ada",
        owner="Estate",
        mode="ask",
        description="a mathematician",
        attributes=("a lace collar",),
        exclusions=("the programming language",),
        context=("mathematician",),
        names=(
            NameDraft(text="Ada", tier="context", kind="official", language="en"),
            NameDraft(text="Lovelace", context=("countess",)),
        ),
        references=(PICTURE, picture(2, polarity=-1)),
        vectors=(
            vector(0, kind="portrait", reference=PICTURE.sha256, space="faces"),
            vector(1, kind="picture", reference=picture(2).sha256, polarity=-1),
            vector(2),
        ),
    )
    subject = get(home, optouts.add(home.engine, given, **BY).subject)
    assert (subject.kind, subject.name, subject.owner, subject.mode) == ("person", "Ada", "Estate", "ask")
    assert (subject.description, subject.attributes) == (given.description, given.attributes)
    assert (subject.exclusions, subject.state, subject.seq) == (given.exclusions, "active", 1)
    assert [(n.text, n.tier, n.context) for n in subject.names] == [
        ("Ada", "context", ("mathematician",)),
        ("Lovelace", "block", ("countess",)),
    ]
    assert [(v.reference, v.space, v.kind, v.polarity, v.vector) for v in subject.vectors] == [
        (v.reference, v.space, v.kind, v.polarity, v.vector) for v in given.vectors
    ]
    listed = optouts.references(home.engine, subject.id)
    assert [(r.sha256, r.polarity) for r in listed] == [(r.sha256, r.polarity) for r in given.references]


def test_saying_the_same_again_changes_nothing(home: Home) -> None:
    first = home.opt_out("Zibble the Brave", owner="Acme Ltd")
    same = home.opt_out(
        "ZIBBLE  the brave", owner=" acme ＬＴＤ", names=(NameDraft(text="Zibble The BRAVE"),)
    )
    assert (same.subject, same.seq, same.at, same.new) == (first.subject, first.seq, NOW, False)
    assert heads(home) == 1
    others = [
        home.opt_out("Zibble the Brave", owner="Other"),
        home.opt_out("Zibble the Brave", owner="Acme Ltd", kind="logo"),
    ]
    assert len({first.subject, *(o.subject for o in others)}) == 3


def test_saying_more_extends_the_subject(home: Home) -> None:
    first = home.opt_out()
    more = home.opt_out(names=(NameDraft(text="Zibble"), NameDraft(text="Zib")), references=(PICTURE,))
    subject = get(home, first.subject)
    assert (more.subject, more.new, subject.seq) == (first.subject, True, more.seq)
    assert [n.text for n in subject.names] == ["Zibble", "Zib"]
    assert home.opt_out(mode="ask").new
    assert get(home, first.subject).mode == "ask"


def test_a_description_written_anew_replaces_its_vectors(home: Home) -> None:
    first = home.opt_out(description="red", vectors=(vector(0), vector(1, space="other")))
    assert not home.opt_out(description="red", vectors=(vector(5),)).new  # the same words: nothing new
    home.opt_out(description="blue", vectors=(vector(2),))
    subject = get(home, first.subject)
    assert subject.description == "blue"
    assert [(v.space, v.vector) for v in subject.vectors] == [
        ("other", vector(1).vector), ("space", vector(2).vector)
    ]  # fmt: skip


def test_a_picture_gets_vectors_in_a_new_space(home: Home) -> None:
    first = optouts.add(home.engine, PICTURED, **BY)
    again = vector(3, kind="picture", reference=PICTURE.sha256)
    newer = vector(3, kind="picture", reference=PICTURE.sha256, space="newer")
    optouts.extend(home.engine, first.subject, references=[PICTURE], vectors=[again, newer], **BY)
    spaces = [(v.space, v.vector) for v in get(home, first.subject).vectors]
    assert spaces == [("space", PICTURED.vectors[0].vector), ("newer", newer.vector)]


def test_extending(home: Home) -> None:
    made = home.opt_out()
    both = optouts.extend(
        home.engine, made.subject, names=[NameDraft(text="Zib")], references=[PICTURE],
        vectors=[vector(kind="picture", reference=PICTURE.sha256)], **BY,
    )  # fmt: skip
    with read(home.engine) as conn:
        assert [e.kind for e in log.entries(conn, 1, 9)] == ["name", "reference"]
    assert (both.seq, get(home, made.subject).seq) == (3, 3)
    nothing = optouts.extend(home.engine, made.subject, names=[NameDraft(text="ZIB")], **BY)
    assert (nothing.new, nothing.seq, heads(home)) == (False, 3, 3)
    with pytest.raises(OptOutInvalid, match="not both"):
        optouts.extend(home.engine, made.subject, references=[picture(1, polarity=-1)], **BY)
    with pytest.raises(NotFound):
        optouts.extend(home.engine, "nobody", names=[NameDraft(text="Zib")], **BY)


def test_withdrawing_leaves_nothing_in_force_and_no_vector(home: Home) -> None:
    made = optouts.add(home.engine, PICTURED, **BY)
    gone = optouts.withdraw(home.engine, made.subject, why={"reason": "a mistake"}, **BY)
    again = optouts.withdraw(home.engine, made.subject, why={}, **BY)
    assert (gone.new, again.new, again.seq, heads(home)) == (True, False, gone.seq, gone.seq)
    subject = get(home, made.subject)
    assert (subject.state, subject.seq) == ("withdrawn", gone.seq)
    assert (subject.names, subject.vectors, subject.rules) == ((), (), ())
    assert optouts.references(home.engine, made.subject) == ()
    with read(home.engine) as conn:
        assert conn.execute(embedding.select()).all() == []
    with pytest.raises(NotFound):
        optouts.extend(home.engine, made.subject, names=[NameDraft(text="Zib")], **BY)
    with pytest.raises(NotFound):
        optouts.withdraw(home.engine, "nobody", why={}, **BY)


def test_an_opt_out_after_a_withdrawal_begins_anew(home: Home) -> None:
    made = home.opt_out(names=(NameDraft(text="Zibble"), NameDraft(text="a mistake")))
    optouts.withdraw(home.engine, made.subject, why={}, **BY)
    again = home.opt_out()
    subject = get(home, made.subject)
    assert (again.subject, again.new, subject.state) == (made.subject, True, "active")
    assert [n.text for n in subject.names] == ["Zibble"]


def test_several_are_all_registered_or_none(home: Home) -> None:
    good, bad = draft("One"), draft("Two", names=())
    with pytest.raises(OptOutInvalid) as told:
        optouts.add_many(home.engine, [good, good, bad], **BY)
    assert told.value.index == 2
    clash = [PICTURED, draft(names=(), references=(picture(1, polarity=-1),), vectors=(
        vector(kind="picture", reference=PICTURE.sha256, polarity=-1), vector(1)))]  # fmt: skip
    with pytest.raises(OptOutInvalid) as told:
        optouts.add_many(home.engine, clash, **BY)
    assert told.value.index == 1
    assert heads(home) == 0
    assert optouts.list_subjects(home.engine) == []
    made = optouts.add_many(home.engine, [good, draft("Two"), good], **BY)
    assert [m.new for m in made] == [True, True, False]
    assert made[0].subject == made[2].subject
    assert optouts.add_many(home.engine, [], **BY) == []


def test_a_long_list_is_in_the_log_by_its_digest(home: Home) -> None:
    names = tuple(NameDraft(text=f"Zibble {n} {'x' * 150}") for n in range(drafts.NAMES_MAX))
    references = tuple(picture(n) for n in range(drafts.REFERENCES_MAX))
    home.opt_out(names=names, references=references)
    with read(home.engine) as conn:
        (entry,) = log.entries(conn, 0, 9)
        log.audit(conn)
    assert entry.private is not None
    listed: Any = entry.private["names"]
    assert (listed["count"], len(listed["first"])) == (drafts.NAMES_MAX, optouts.LISTED_MAX)
    assert len(json.dumps(entry.private)) < 64 << 10
    with pytest.raises(OptOutInvalid, match="at most 500 names"):
        home.opt_out(names=(NameDraft(text="one more"),))


def test_pages_of_subjects(home: Home) -> None:
    made = [home.opt_out(f"S{n}", owner="Acme" if n % 2 else "Bolt").subject for n in range(5)]
    ids = sorted(made)
    first = optouts.list_subjects(home.engine, limit=2)
    assert [s.id for s in first] == ids[:2]
    rest = optouts.list_subjects(home.engine, after=first[-1].id)
    assert [s.id for s in rest] == ids[2:]
    assert {s.id for s in optouts.list_subjects(home.engine, owner=" ACME ")} == {made[1], made[3]}
    optouts.withdraw(home.engine, made[0], why={}, **BY)
    assert [s.id for s in optouts.list_subjects(home.engine, state="withdrawn")] == [made[0]]
    assert optouts.get(home.engine, "nobody") is None
    with read(home.engine) as conn:
        assert len(conn.execute(party.select()).all()) == 2


def test_records_are_those_that_changed_since(home: Home) -> None:
    made = [home.opt_out(f"S{n}").subject for n in range(4)]
    seq = heads(home)
    optouts.extend(home.engine, made[1], names=[NameDraft(text="Zib")], **BY)
    optouts.withdraw(home.engine, made[0], why={}, **BY)
    with read(home.engine) as conn:
        assert [r.id for r in optouts.records(conn, after_seq=seq)] == [made[1], made[0]]
        assert [r.id for r in optouts.records(conn, [made[2], "nobody"])] == [made[2]]
        assert list(optouts.records(conn, [])) == []
        assert len(list(optouts.records(conn))) == 4


def test_records_come_in_batches_and_once_each(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from registry import subjects

    made = {m.subject for m in optouts.add_many(home.engine, [draft(f"S{n}") for n in range(7)], **BY)}
    monkeypatch.setattr(subjects, "BATCH", 2)
    with read(home.engine) as conn:
        assert sorted(r.id for r in subjects.records(conn, made)) == sorted(made)
        assert sorted(r.id for r in subjects.records(conn)) == sorted(made)


NAN = np.full(8, np.nan, "<f2").tobytes()
BAD: list[dict[str, Any]] = [
    {"kind": "voice"},
    {"mode": "maybe"},
    {"name": ""},
    {"name": " \t"},
    {"name": "\u200b\u200d"},
    {"name": "a\x00b"},
    {"name": "half \ud800"},
    {"name": "x" * 201},
    {"owner": ""},
    {"owner": "a\x1bb"},
    {"names": ()},
    {"names": (NameDraft(text=""),)},
    {"names": (NameDraft(text="Zib", tier="maybe"),)},
    {"names": (NameDraft(text="Zib", kind="maybe"),)},
    {"names": (NameDraft(text="Bo", tier="context"),)},
    {"names": (NameDraft(text="Bo", tier="context", context=("",)),)},
    {"names": tuple(NameDraft(text=f"n{n}") for n in range(501))},
    {"description": "x" * 4001},
    {"attributes": ("",)},
    {"attributes": ("a",) * 101},
    {"references": (picture(1, sha256="A" * 64),)},
    {"references": (picture(1, sha256="a" * 63),)},
    {"references": (picture(1, polarity=0),)},
    {"references": (picture(1, width=0),)},
    {"references": (PICTURE, PICTURE)},
    {"references": tuple(picture(n) for n in range(1001))},
    {"vectors": (vector(kind="prompt"),)},
    {"vectors": (vector(dimension=9),)},
    {"vectors": (vector(dimension=0, vector=b""),)},
    {"vectors": (vector(vector=NAN),)},
    {"vectors": (vector(vector=bytes(16)),)},
    {"vectors": (vector(polarity=2),)},
    {"vectors": (vector(space=""),)},
    {"vectors": (vector(kind="picture"),)},
    {"vectors": (vector(reference="b" * 64),)},
    {"vectors": (vector(kind="picture", reference="b" * 64),)},
    {"references": (PICTURE,), "vectors": (vector(kind="picture", reference=PICTURE.sha256, polarity=-1),)},
    {"vectors": (vector(), vector(vector=vector().vector * 2, dimension=16))},
    {"names": (), "references": (picture(1, polarity=-1),),
     "vectors": (vector(kind="picture", reference=PICTURE.sha256, polarity=-1),)},
]  # fmt: skip


@pytest.mark.parametrize("changes", BAD)
def test_what_cannot_be_registered_is_refused(changes: dict[str, Any]) -> None:
    title, rest = changes.get("name", "Zibble"), {k: v for k, v in changes.items() if k != "name"}
    made = draft("Zibble", **rest)
    with pytest.raises(OptOutInvalid) as told:
        drafts.validate(OptOutDraft(**{f: getattr(made, f) for f in made.__slots__} | {"name": title}))
    assert str(told.value).endswith(".")


def test_a_space_has_one_size_for_ever(home: Home) -> None:
    home.opt_out("One", vectors=(vector(),))
    other = vector(vector=vector().vector * 2, dimension=16)
    with pytest.raises(OptOutInvalid, match="embed"):
        home.opt_out("Two", vectors=(other,))
    assert heads(home) == 1
