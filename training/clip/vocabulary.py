"""The words that the small CLIP knows: those of the world, and common ones that say "something else"."""

import json
from pathlib import Path
from typing import Final

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from generator.embedded.world.words import vocabulary

CONTEXT: Final = 56
SPECIAL: Final = ("<pad>", "<end>", "<unknown>", "<start>")
# Words of prompts that concern no character of the world.
COMMON: Final = tuple(
    """
    about above across actor after again air airplane alone ancient animal apple arm army art astronaut
    autumn baby back ball band bank bar barn bath battle beautiful bed bee behind bell bench bicycle big
    bird birthday blow boat body book boots bottle bowl box boy branch bread breakfast bridge bright
    build bus busy butterfly cake camera camp candle car carry castle chair chase cheese chef child
    children church cinematic circle class clean climb clock close cloud clouds coast coat coffee cold
    colorful colourful comes computer concert cook corner country couple cow crowd cup cut dance
    daughter dawn deep deer desk detailed diamond dinner doctor dog door dragonfly dream dress drink
    drive drone drum duck dusk dust eagle earth eat egg empty engine evening every eyes face fall family
    farm farmer fast father feather festival field fire fireplace fireworks fish fisherman flag flight
    floor flower flowers fly flying food foot football footage friend friends from fruit full fur garden
    gentle giant girl glass goat gold golden grass grandfather grandmother great group guitar hair hand
    hands happy harbor harbour he head heart her high hill his hold holding hold horse hospital hour
    house ice inside into island it jacket jazz journey juice jungle kitchen kite knife knight lake lamp
    landscape large laugh leaf leaves left leg letter library light lighthouse lightning lion little
    living long love machine magic man map market meadow meal men metal middle milk minute mirror modern
    money monkey morning mother motion mountain mouth music musician near neon new next nurse ocean off
    office old open orchestra over paint painter painting panda paper park party past path people person
    phone photo photograph piano pine pirate pizza plane plant plate play playing plays police pool pot
    potter rain rainbow rainy raining reading realistic ride rides riding right ring river road rock
    rocket roof rope rose row ruins run runs sail sailor salad sandwich school sculpture seagull season
    sell sheep ship shoe shoes shop short shot sing singer sings sister sits sky sleep sleeping slow
    smile smiling smoke snowfall snowman soccer soft soldier son song soup speed spider spring squirrel
    stage stair star stars station stone storm story strange student subway summer sun sunflower
    sunlight sunrise sunset surf surfer sweet swim swimming sword table tea teacher team television
    temple tennis tent their them then they through tiger time timelapse toast tourist towards tower
    town traffic train travel truck tulip turtle two umbrella under university valley vegetables view
    village vintage violin waits walks wall warm watch water waterfall waves weather wedding wheel wheat
    when while whale wild wind window windmill wine wing wings wise wolf woman women wood wooden work
    worker world write year young zebra zoom camera
    """.split()  # noqa: SIM905 (a list of words, to be read as words)
)


def words() -> list[str]:
    """All words, special ones first; the positions are the numbers of the tokens."""
    known = {word for text in vocabulary() for word in text.replace(",", " ").replace("-", " ").split()}
    return [*SPECIAL, *sorted(known | set(COMMON))]


def tokenizer() -> Tokenizer:
    """Lower case, letters and digits only, one token a word, between a start and an end."""
    numbers = {word: index for index, word in enumerate(words())}
    made = Tokenizer(models.WordLevel(numbers, unk_token="<unknown>"))  # noqa: S106 (a token of text)
    made.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex("[^a-z0-9]+"), " ")]
    )
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 3), ("<end>", 1)]
    )
    return made


def save_tokenizer(folder: Path) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json`` as transformers reads them."""
    tokenizer().save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "eos_token": "<end>",
        "unk_token": "<unknown>",
        "bos_token": "<start>",
        "model_max_length": CONTEXT,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")


def other_text(rng: np.random.Generator) -> str:
    """Words that describe no character."""
    chosen = rng.choice(COMMON, size=int(rng.integers(3, 14)), replace=False)
    return " ".join(["a photo of", *chosen] if rng.random() < 0.3 else list(chosen))


def surrounded(text: str, rng: np.random.Generator) -> str:
    """A caption with other words before or after it, now and then."""
    if rng.random() < 0.6:
        return text
    before = " ".join(rng.choice(COMMON, size=int(rng.integers(0, 7))))
    after = " ".join(rng.choice(COMMON, size=int(rng.integers(0, 7))))
    return f"{before} {text} {after}".strip()
