"""Subjects that nobody has thought of: words about them, from a small grammar, to measure what means nobody.

What is said of a registered character is often said of many: "blue eyes", "a cartoon", "wearing a hat". How
near a text is to words about invented subjects says how little it tells. Every word below was written for
this; the same seed gives the same texts.
"""

import random
from typing import Final

HUES: Final = """
red|blue|green|yellow|orange|purple|pink|white|black|brown|grey|golden|silver|turquoise|violet|crimson|teal|
beige|navy|cream
""".replace("\n", "").split("|")
SIZES: Final = """
small|tiny|tall|large|huge|chubby|slender|round|muscular|short|plump|stocky|lanky|petite|fluffy|furry
""".replace("\n", "").split("|")
MOODS: Final = """
cheerful|friendly|brave|curious|shy|grumpy|mischievous|wise|clumsy|kind|gentle|loyal|fierce|cunning|proud|
elegant|graceful|mysterious|energetic|playful|lazy|stubborn|confident|determined|sleepy|sarcastic|optimistic|
adventurous|innocent|charming|cute|funny|heroic|strong|fast|agile|magical|evil|menacing|royal|beautiful|
handsome|youthful|ancient|popular|iconic|famous|classic|unique|simple|powerful|animated
""".replace("\n", "").split("|")
SHAPES: Final = """
large|big|small|long|short|round|pointed|sharp|curly|straight|wavy|shiny|glowing|bushy|floppy|expressive|wide|
thick|thin|curved|flowing|fluffy|wrinkled|striped|spotted|smooth
""".replace("\n", "").split("|")
BEINGS: Final = """
young woman|young man|boy|girl|old man|old woman|princess|prince|queen|king|knight|wizard|witch|pirate|sailor|
soldier|robot|alien|monster|ghost|skeleton|dragon|dinosaur|dog|cat|rabbit|mouse|bear|lion|tiger|elephant|
monkey|fox|wolf|horse|unicorn|pig|cow|duck|chicken|owl|parrot|penguin|frog|turtle|snake|lizard|fish|shark|
octopus|crab|bee|butterfly|spider|ant|car|train|aeroplane|truck|toy|doll|puppet|teddy bear|snowman|tree|
flower|mushroom|star|cloud|sponge|cup|lamp|clock|book|superhero|villain|detective|ninja|samurai|warrior|
archer|astronaut|scientist|teacher|chef|clown|fairy|elf|dwarf|giant|troll|goblin|vampire|mermaid|angel|demon|
cowboy|explorer|musician|dancer|athlete|baby|teenager|grandmother|creature|hero|character
""".replace("\n", "").split("|")
GARMENTS: Final = """
hat|cap|crown|helmet|hood|mask|scarf|cape|cloak|dress|ball gown|robe|tunic|shirt|jacket|coat|vest|waistcoat|
suit|armour|uniform|overalls|trousers|shorts|skirt|kimono|sweater|tie|bow tie|ribbon|belt|gloves|boots|shoes|
sandals|slippers|socks|backpack|apron|turban|headband|tiara|necklace|earrings|bracelet|collar|glasses|goggles|
eye patch|bandana|spacesuit|swimsuit|bodysuit|costume|outfit
""".replace("\n", "").split("|")
PARTS: Final = """
eyes|hair|fur|skin|feathers|scales|wings|horns|ears|tail|nose|beak|claws|teeth|tusks|mane|whiskers|beard|
moustache|eyebrows|lips|paws|hooves|antennae|shell|spikes|tentacles|fins|cheeks|freckles|stripes|spots|
ponytail|braids|curls|tongue|belly|legs|arms|hands|head|snout
""".replace("\n", "").split("|")
PROPS: Final = """
sword|shield|bow and arrows|wand|staff|spear|axe|hammer|gun|rope|lantern|book|scroll|map|flute|guitar|drum|
ball|balloon|flower|umbrella|bag|basket|bottle|key|mirror|crystal|gem|ring|telescope|camera|skateboard|
bicycle|broom|fishing rod|shovel|torch|flag|trident|whip|fan|magnifying glass
""".replace("\n", "").split("|")
STYLES: Final = """
cartoon|cartoon style|anime|anime style|animated film|comic book style|3D animation|pixel art|hand-drawn|
vintage cartoon|fantasy|fantasy art|realistic style|children's book illustration|video game character|
fairy tale|science fiction|bold stylized design|bright colours|vibrant colours|soft pastel colours|
dark moody lighting|black and white|retro|dynamic pose|playful pose|cheerful expression|
determined expression|confident smile|wide grin|big smile|surprised look|angry expression|
sparkling background|forest background|sunset background|city background|detailed texture|
cinematic lighting
""".replace("\n", "").split("|")
PLACES: Final = """
in a forest|in the snow|under water|by the sea|in a castle|in a big city|in a small village|in the desert|
in outer space|on a mountain|in a garden|in a kitchen|in a school|on a stage|on an island|in a cave|
in a laboratory|on a farm|in the jungle|on a street at night
""".replace("\n", "").split("|")
DEEDS: Final = """
can fly|runs very fast|is very strong|breathes fire|casts spells|can become invisible|talks to animals|
sings beautifully|solves mysteries|saves the world|protects the forest|loves to eat|is afraid of the dark|
never gives up|is always late|is a loyal friend|leads an army|lives alone|travels through time|fights crime
""".replace("\n", "").split("|")
FORMS: Final = (
    "{list}",
    "This character is {a_being}. {they} has {part0} and {part1}. {they} wears {worn0} and {worn1}. "
    "{they} is {mood0} and {mood1}, and often carries {prop}.",
    "{being} with {part0}, {part1} and {part2}, wearing {worn0}, {place}, {style}",
    "{a_being} {place} with {part0}, wearing {worn0}. {they} {deed}, and is {mood0}.",
    "Generate an image of {a_being}. {they} has {part0}, {part1} and {part2}. {they} is dressed in {worn0} "
    "with {worn1} and holds {prop}. {they} looks {mood0}. {style}.",
)
SINGLE: Final = (MOODS, SIZES, HUES, BEINGS, STYLES, PLACES, DEEDS, GARMENTS, PROPS)


def attributes(count: int, seed: int) -> list[str]:
    """Different short phrases, as the attributes of a subject or the clauses of a prompt are."""
    rng = random.Random(seed)
    found = dict.fromkeys(word for words in SINGLE for word in words)
    while len(found) < count:
        found[rng.choice((_part, _part, _worn, _worn, _prop, _being))(rng)] = None
    return list(found)[:count]


def descriptions(count: int, seed: int) -> list[str]:
    """Descriptions and lists of keywords, each of one invented subject."""
    rng = random.Random(seed)
    return [_description(rng, FORMS[number % len(FORMS)]) for number in range(count)]


def _description(rng: random.Random, form: str) -> str:
    being = _being(rng)
    told = {
        "being": being, "a_being": _a(being), "they": rng.choice(("He", "She", "It")),
        "place": rng.choice(PLACES), "style": rng.choice(STYLES), "deed": rng.choice(DEEDS),
        "prop": _prop(rng), "list": _keywords(rng, being),
    }  # fmt: skip
    for place in range(3):
        told |= {
            f"part{place}": _part(rng), f"worn{place}": _worn(rng), f"mood{place}": rng.choice(MOODS)
        }  # fmt: skip
    text = form.format(**told)
    return text[0].upper() + text[1:]


def _keywords(rng: random.Random, being: str) -> str:
    more = [_part(rng), _worn(rng), _prop(rng), rng.choice(SIZES), rng.choice(HUES), rng.choice(STYLES)]
    more += [*rng.sample(MOODS, 6), _part(rng), _worn(rng), rng.choice(PLACES), rng.choice(BEINGS)]
    more += [rng.choice(PARTS), rng.choice(GARMENTS), rng.choice(STYLES), rng.choice(HUES)]
    rng.shuffle(more)
    kept = [being, *more[: rng.choice((4, 4, 9, 19))]]
    rng.shuffle(kept)
    return ", ".join(kept)


def _being(rng: random.Random) -> str:
    hue = f"{rng.choice(HUES)} " if rng.random() < 0.4 else ""
    return f"{rng.choice(SIZES)} {hue}{rng.choice(BEINGS)}" if rng.random() < 0.8 else rng.choice(BEINGS)


def _part(rng: random.Random) -> str:
    shape = f"{rng.choice(SHAPES)} " if rng.random() < 0.6 else ""
    return f"{shape}{rng.choice(HUES)} {rng.choice(PARTS)}"


def _worn(rng: random.Random) -> str:
    hue = f"{rng.choice(HUES)} " if rng.random() < 0.8 else ""
    return _a(f"{hue}{rng.choice(GARMENTS)}")


def _prop(rng: random.Random) -> str:
    hue = f"{rng.choice(HUES)} " if rng.random() < 0.3 else ""
    return _a(f"{hue}{rng.choice(PROPS)}")


def _a(thing: str) -> str:
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"
