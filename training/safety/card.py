"""The model card of the embedded weights, written with them."""

import json
from collections.abc import Sequence
from typing import Final

from classifiers.thresholds import Calibration
from training.safety.corpus import Text

_TEXT: Final = """# What judges prompts

Logistic regressions, one for each of {count} categories, on the sentence vector of MiniLM
(all-MiniLM-L6-v2, Apache-2.0, not part of these weights) and on hashed letters and words, with four plain
signs (a known politician, another known person, a work, a brand). {size:,} bytes, safetensors. Two more
categories are made of these: a sexual scene with a known person, and somebody under age in a sexual context
(a conjunction of features; no text about it was written).

Trained by `python -m training safety` on {texts:,} texts ({harmless:,} of them harmless) that grammars of
the project write (`training/safety/grammar`): scenes, keywords, requests, chat, several languages,
look-alikes that are harmless. No text from elsewhere was used. {date}, seed {seed}.

Found, of texts whose words and sentence patterns the fit had not learnt, where {share} of harmless ones
count (0.4 % of persons in public life; 0.05 % of violence and disturbing; 0.15 % of misinformation and
harassment; a long text counts by its worst part):

| category | found |
|---|---|
{rows}

These are grammars judged by grammars: they say that the recipe works, not how well it does on prompts that
people write. For that see `countermark bench safety --parts moderation`, and cross-validate on labelled
prompts of your own.

It does not understand irony, long stories, or harm that lies in the order of harmless scenes; of languages
other than English it knows single phrases. It is a net with a known mesh in front of a person, no judge.
"""


def written(calibration: Calibration, texts: Sequence[Text], size: int) -> str:
    """The card."""
    found = json.loads(calibration.made["found of texts whose words were not learnt"])
    return _TEXT.format(
        count=len(found), size=size, texts=int(calibration.made["texts"]),
        harmless=int(calibration.made["harmless texts"]),
        date=calibration.made["date"], seed=calibration.made["seed"],
        share=f"{float(calibration.made['share of harmless texts that count']):.2%}",
        rows="\n".join(f"| {name} | {share:.0%} |" for name, share in found.items()),
    )  # fmt: skip
