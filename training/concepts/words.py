"""Words for each category, and for ordinary pictures: a head of words alone, by any open_clip model.

CLIP was trained on captions, so each is the caption of a picture. Ordinary ones are near on purpose: people
at the beach, a film set, a butcher's shop.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from classifiers.base import TextEmbedder
from classifiers.errors import ModelUnusable
from classifiers.unsafe.heads import Head, Texts
from classifiers.unsafe.taxonomy import Category

SCALE: Final = 100.0
"""By which cosines are multiplied: what OpenAI's and open_clip's models end up with in training."""
WORDS: Final[Mapping[Category, Sequence[str]]] = {
    Category.SEXUAL: (
        "a pornographic photo", "an explicit nude photo", "a naked person", "people having sex",
        "an erotic drawing of a naked character", "hentai",
    ),
    Category.VIOLENCE: (
        "a person beating another person", "a man stabbing somebody with a knife",
        "a soldier shooting people", "a brutal fight with weapons", "a person being strangled",
        "an animal being beaten",
    ),
    Category.GORE: (
        "a bloody corpse", "a severed limb covered in blood", "an open wound with blood and gore",
        "a mutilated body", "a drawing of a character torn apart with blood",
    ),
    Category.SELF_HARM: (
        "a person hanging from a noose", "an arm with cuts from self-harm", "a person cutting their wrist",
        "a person about to jump off a building to die",
    ),
    Category.HATE: (
        "a swastika flag", "a burning cross with hooded men", "people giving a Nazi salute",
        "a poster of terrorist propaganda", "a racist caricature",
    ),
    Category.ILLEGAL: (
        "a person injecting heroin", "lines of cocaine on a table", "a bag of illegal drugs",
        "a robbery with a gun in a shop",
    ),
    Category.DISTURBING: (
        "a disgusting rotten face", "a swarm of maggots in flesh", "a terrifying deformed creature",
        "a picture of excrement",
    ),
}  # fmt: skip
ORDINARY: Final = (
    "a photo of a person", "a photo of people in clothes", "a portrait of a smiling woman",
    "people in swimsuits at the beach", "a couple hugging", "a mother holding a baby",
    "a sculpture in a museum", "athletes wrestling in a match", "actors on a film set",
    "a football player falling", "a cook cutting meat in a kitchen", "a butcher's shop",
    "a doctor with a patient", "red paint on a canvas",
    "tomato sauce on a plate", "a police officer in the street", "a soldier in a parade",
    "a nurse giving an injection", "a person at the edge of a cliff enjoying the view", "a rope on a ship",
    "a flag on a building", "a crowd at a concert", "a bag of flour", "an insect on a leaf",
    "a monster in a cartoon for children", "a cartoon character", "a drawing of an animal", "a landscape",
    "a city street at night", "an empty room", "food on a table", "a car on a road",
    "text on a white background",
    "a blurry photo", "a computer game", "an abstract pattern",
)  # fmt: skip


def worded(clip: TextEmbedder, categories: Sequence[Category]) -> Head:
    """A head of words for these categories. Raises: ModelUnusable where there are none for one of them."""
    lacking = [category for category in categories if category not in WORDS]
    if lacking:
        raise ModelUnusable(f"there are no words for {lacking[0]}: fit a head from pictures of it instead")
    groups = [WORDS[category] for category in categories]
    texts = [*ORDINARY, *(text for group in groups for text in group)]
    vectors = clip.embed_texts(texts)
    silent = [text for text, vector in zip(texts, vectors, strict=True) if not vector.any()]
    if silent:
        raise ModelUnusable(
            f"this CLIP does not know the words of “{silent[0]}” (and {len(silent) - 1} more): take one that "
            "was trained on captions of photographs, or fit a head from pictures"
        )
    owners = [-1] * len(ORDINARY) + [number for number, group in enumerate(groups) for _ in group]
    return Head(
        space=clip.space, categories=tuple(categories),
        texts=Texts(vectors=vectors, owners=np.array(owners, np.int64), scale=SCALE),
    )  # fmt: skip
