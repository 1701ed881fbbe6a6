"""The model card of the embedded weights, written with them."""

import json
from collections.abc import Sequence
from typing import Final

from classifiers.thresholds import Calibration
from training.safety.calibrate import FOUND_ELSEWHERE, LEARNT_ELSEWHERE, STOPPED_ELSEWHERE
from training.safety.corpus import Text

_TEXT: Final = """# What judges prompts

Logistic regressions, one for each of {count} categories, on the sentence vector of MiniLM
(all-MiniLM-L6-v2, Apache-2.0, not part of these weights) and on hashed letters and words, with four plain
signs (a known politician, another known person, a work, a brand). Beside them, for eleven of the
categories, a regression on hashed letters alone for what MiniLM does not see: other languages, and harm
that harmless English words tell by its motion (`en` below); of both the higher logit counts. {size:,}
bytes, safetensors. Two more categories are made of these: a sexual scene with a known person, and somebody
under age in a sexual context (a conjunction of features; no text about it was written).

Trained by `python -m training safety` on {texts:,} texts ({harmless:,} of them harmless) that grammars of
the project write (`training/safety/grammar`): scenes, keywords, requests, chat, look-alikes that are
harmless; and the second line on {foreign:,} in {languages_count} languages (`grammar/languages`), each
written in its language, with harmless texts of the same words and about the same groups of people, and with
half of the harmless English texts. No text from elsewhere
was used. {date}, seed {seed}.

Found, of texts whose words and sentence patterns the fit had not learnt, where {share} of harmless ones
count (0.4 % of persons in public life; 0.05 % of violence and disturbing; 0.15 % of misinformation and
harassment; a long text counts by its worst part):

| category | found |
|---|---|
{rows}

By the second line alone: texts found, for their category, where every word of them was learnt, and where a
quarter of all words and patterns was held back; and harmless texts with words held back that count for any
category. Half of these use the words of unsafe ones on purpose. What people write lies between both
figures.

| language | found, words learnt | found, words held back | harmless that count |
|---|---|---|---|
{languages}

These are grammars judged by grammars: they say that the recipe works, not how well it does on prompts that
people write. For that see `countermark bench safety --parts moderation`, and cross-validate on labelled
prompts of your own.

It does not understand irony, long stories, or harm that lies in the order of harmless scenes. Of other
languages it knows words and their forms, not what a sentence says: what its lists do not name passes, harm
told by harmless words first of all, and so do traditional Chinese signs that differ, transliteration, and
languages that are not named here. It is a net with a known mesh in front of a person, no judge.
"""


def written(calibration: Calibration, texts: Sequence[Text], size: int) -> str:
    """The card."""
    made = calibration.made
    found = json.loads(made["found of texts whose words were not learnt"])
    learnt, strange, stopped = (
        json.loads(made[name]) for name in (LEARNT_ELSEWHERE, FOUND_ELSEWHERE, STOPPED_ELSEWHERE)
    )
    return _TEXT.format(
        count=len(found), size=size, texts=int(made["texts"]), harmless=int(made["harmless texts"]),
        foreign=int(made["texts in other languages"]), date=made["date"], seed=made["seed"],
        languages_count=len(strange),
        languages="\n".join(
            f"| {one} | {learnt[one]:.0%} | {share:.0%} | {stopped[one]:.1%} |"
            for one, share in strange.items()
        ),
        share=f"{float(made['share of harmless texts that count']):.2%}",
        rows="\n".join(f"| {name} | {share:.0%} |" for name, share in found.items()),
    )  # fmt: skip
