"""What the words around a name say: that its style is asked for, or that it is the title of a work.

1. A style: "in the style of …", "a … film", "…-esque", and what says the same in German, French, Spanish,
Italian, Portuguese and Japanese.
2. A title: a name that is also a common word, written as a title (capitals where a sentence would have none,
or quotes) beside the word for a work or a figure in one: "the movie Frozen", "Link, the game character".
"""

import re
from typing import Final

PHRASE: Final = 60  # characters around a name in which such a phrase stands
_QUOTE: Final = "[\"“”„«»'‘’「『]"
_ART: Final = r"(?:(?:the|der|die|das|des|dem|le|la|les|el|los|las|il|lo|o|os|as)\s+|l['’])?"
_STYLE_WORD: Final = (
    "style|manner|aesthetics?|spirit|vein|look|"  # English
    "stil|stile|manier|ästhetik|geiste|art|"  # German; Italian
    "manière|esthétique|esprit|façon|"  # French
    "estilo|manera|estética|maneira|espíritu|espírito|"  # Spanish, Portuguese
    "maniera|estetica|spirito"  # Italian
)
_STYLE_BEFORE: Final = re.compile(
    rf"(?:\b(?:{_STYLE_WORD}|style)\s+(?:of|von|vom|de|di|do|da|dos|das|del|des|della|dello|du|d['’])"
    r"|\bà\s+la|\ba\s+la|\balla(?:\s+maniera\s+di)?|\bau\s+style|\bim\s+stil|\bim\s+stile"
    r"|\binspired\s+by|\bas\s+if\s+(?:made|drawn|painted|directed|filmed)\s+by"
    r"|\b(?:inspiriert\s+von|inspirée?s?\s+(?:par|de)|inspirad[oa]s?\s+(?:en|em|no|na|por)|ispirat[oaie]\s+a)"
    r"|\b(?:wie|als)\s+von|\bcomme\s+(?:chez|par)"
    rf")\s*{_ART}{_QUOTE}?\Z",
    re.IGNORECASE,
)  # fmt: skip
_STYLE_AFTER: Final = re.compile(
    rf"\A{_QUOTE}?(?:['’]s)?[\s-]+(?:esque\b|inspired\b|(?:art\s+)?style\b|styled\b|like\s+style\b|aesthetic\b"
    r"|stil\b|artig|ähnlich|haft)"
    r"|\A[」』]?(?:の)?(?:風|ふう|スタイル|っぽい|っぽく|タッチ|画風|作風|調の|のような(?:画風|作風|スタイル|絵))",
    re.IGNORECASE,
)
_WORK: Final = (
    "film|movie|cartoon|painting|artwork|picture|drawing|comic|game|gemälde|zeichnung|zeichentrickfilm|spiel|"
    "tableau|dessin|peinture|jeu|película|pelicula|cuadro|dibujo|juego|quadro|dipinto|disegno|gioco|filme|"
    "pintura|desenho|jogo"
)
_WORK_BEFORE: Final = re.compile(
    r"\b(?:(?:like|from|in|as\s+in)\s+an?|(?:wie|aus|in)\s+(?:in\s+|aus\s+)?ein(?:em|er|e)?"
    r"|(?:comme\s+)?dans\s+une?|como\s+(?:en|de)\s+una?|come\s+in\s+una?|como\s+(?:em|num|numa|de)\s*(?:uma?)?)"
    r"\s+[\"“'‘]?\Z", re.IGNORECASE,
)  # fmt: skip
_WORK_AFTER: Final = re.compile(rf"\A{_QUOTE}?(?:['’]s)?[\s-]+(?:{_WORK})\b", re.IGNORECASE)
# The other way round, as Romance languages have it: "comme dans un film de …".
_WORK_OF: Final = re.compile(
    rf"\b(?:like|from|wie|aus|comme|dans|como|come|in|en|em|num|numa)\s+(?:an?|ein(?:em|er|e|en)?|une?|una?|uno|uma?)?"
    rf"\s*(?:{_WORK})\s+(?:by|from|of|von|de|di|do|da|del|d['’])\s*{_ART}{_QUOTE}?\Z",
    re.IGNORECASE,
)

_MEDIUM: Final = (
    "movies?|films?|show|series|sitcom|cartoon|anime|manga|musical|game|video\\s?game|franchise|saga|trilogy|"
    "novel|comics?|episode|sequel|remake|trailer|characters?|hero|heroine|villain|mascot|brand|logo|"
    "serie|spiel|figur|jeu|película|pelicula|juego|gioco|filme|jogo|personaje|personnage|personaggio"
)
_TITLE_BEFORE: Final = re.compile(
    rf"\b(?:{_MEDIUM})(?:\s+(?:called|named|titled|entitled|hero|heroine|character|star))?\s*[,:]?\s*{_QUOTE}?\Z",
    re.IGNORECASE,
)
_WITH_BEFORE: Final = re.compile(
    rf"\b(?:{_MEDIUM})\s+(?:with|about|starring|featuring|of)\s+\Z", re.IGNORECASE
)
_FROM_BEFORE: Final = re.compile(
    r"\b(?:character|hero|heroine|villain|scene|still)s?(?:\s+\w+)?\s+(?:from|in|of)\s+\Z", re.IGNORECASE
)
_TITLE_AFTER: Final = re.compile(
    rf"\A{_QUOTE}?(?:\s*,)?\s+(?:(?:the|from\s+the|of\s+the|in\s+the|a|an)\s+)?(?:\w+\s+){{0,2}}?(?:{_MEDIUM})\b",
    re.IGNORECASE,
)
_OPENING: Final = re.compile(r"(?:\A|[.!?:;\n(])\s*\Z")


def asks_for_style(text: str, start: int, end: int) -> bool:
    """Whether the words around ``text[start:end]`` ask for the style of who is named there."""
    before, after = text[max(0, start - PHRASE) : start], text[end : end + PHRASE]
    if _STYLE_AFTER.match(after) or _STYLE_BEFORE.search(before) or _WORK_OF.search(before):
        return True
    return bool(_WORK_BEFORE.search(before) and _WORK_AFTER.match(after))


def is_title(text: str, start: int, end: int) -> bool:
    """Whether ``text[start:end]`` is written as the title of a work, or as the name of a figure in one."""
    quote, before, after = text[start:end], text[max(0, start - PHRASE) : start], text[end : end + PHRASE]
    quoted = bool(re.search(rf"{_QUOTE}\Z", before) and re.match(_QUOTE, after))
    raised = quote[:1].isupper() and (not text.isupper()) and text != text.title()
    if not (raised or quoted):
        return False
    if _TITLE_BEFORE.search(before) or _FROM_BEFORE.search(before) or _WITH_BEFORE.search(before):
        return True
    opening = bool(_OPENING.search(before))  # where every word has a capital
    told = _TITLE_AFTER.match(after)
    return bool(told and (not opening or "," in told.group()))
