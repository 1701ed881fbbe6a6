"""Texts from grammars of our own (``grammar/*.txt``).

1. ``[name]`` begins a list; each line after it is one alternative; ``~`` is nothing.
2. ``(a|b)`` chooses, ``{name}`` takes from a list of the same file or else of ``common.txt``; a ``?`` after
   either leaves it out half the time. ``an?`` is the article that fits. ``@politician`` and the like is a
   known name (`classifiers.unsafe.known`).
3. Other languages have files of their own (``grammar/languages``), which take nothing of English grammar.
4. Lines can be held out: a `Grammar` of some of the lines makes texts that one of the others never makes,
   so that figures and thresholds come from words that were not learnt.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

from classifiers.unsafe import known

FOLDER: Final = Path(__file__).parent / "grammar"
COMMON: Final = "common"
PARTS: Final = 4
"""Into how many parts the lines are dealt, by their text; lists of fewer than `WHOLE` lines stay whole."""
WHOLE: Final = 4
MAX_DEPTH: Final = 12
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "politician": (known.POLITICIANS,), "celebrity": (known.CELEBRITIES,),
    "work": (known.WORKS,), "brand": (known.BRANDS,),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Text:
    text: str


@dataclass(frozen=True, slots=True)
class _List:
    name: str
    optional: bool


@dataclass(frozen=True, slots=True)
class _Choice:
    ways: "tuple[tuple[_Node, ...], ...]"
    optional: bool


_Node = _Text | _List | _Choice


class Grammar:
    """Makes texts of one kind; ``keep``: which lines may be used, by the part they are in."""

    def __init__(self, kind: str, keep: Callable[[int], bool] = lambda _part: True) -> None:
        self._lists = dict(_read(COMMON)) | dict(_read(kind))
        self._kind = kind
        self._keep = keep
        self._shared = set(_read(COMMON))
        self._tidy = _tidy if "/" not in kind else _spaced

    @property
    def lists(self) -> frozenset[str]:
        """The names of all lists."""
        return frozenset(self._lists)

    def make(self, random: Random) -> str:
        """One text."""
        return self._tidy(self._from(self._kind, random, 0))

    def of(self, name: str, random: Random) -> str:
        """One text from the list called `name`."""
        return self._tidy(self._from(name, random, 0))

    def fill(self, line: str, random: Random) -> str:
        """One text from a line that names lists."""
        return self._tidy(self._nodes(_parsed(line), random, 0))

    def _from(self, name: str, random: Random, depth: int) -> str:
        if depth > MAX_DEPTH:
            raise ValueError(f"the grammar {self._kind} goes round in circles at {name}")
        lines = self._lists[name]
        if name not in (*self._shared, self._kind) and len(lines) >= WHOLE:
            lines = self._kept(lines)
        line = random.choice(lines)
        if line.startswith("@"):
            return random.choice(self._kept(_names(line[1:])))
        return self._nodes(_parsed(line), random, depth)

    def _nodes(self, nodes: Sequence[_Node], random: Random, depth: int) -> str:
        return "".join(self._node(node, random, depth) for node in nodes)

    def _node(self, node: _Node, random: Random, depth: int) -> str:
        if isinstance(node, _Text):
            return node.text
        if node.optional and random.random() < 0.5:
            return ""
        if isinstance(node, _List):
            return self._from(node.name, random, depth + 1)
        return self._nodes(random.choice(self._ways(node)), random, depth)

    def _ways(self, node: _Choice) -> "Sequence[tuple[_Node, ...]]":
        """The ways of a long choice are dealt like lines: most of what is said is said in them."""
        if len(node.ways) < WHOLE:
            return node.ways
        return [way for way in node.ways if self._keep(part_of(repr(way)))] or node.ways

    def _kept(self, lines: Sequence[str]) -> Sequence[str]:
        return [line for line in lines if self._keep(part_of(line))] or lines


def part_of(line: str) -> int:
    """Which of the `PARTS` parts a line is in; always the same one."""
    return hashlib.sha256(line.encode()).digest()[0] % PARTS


@cache
def _names(kind: str) -> tuple[str, ...]:
    return tuple(name for file in _NAMES[kind] for name in known.names(file))


@cache
def _read(kind: str) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in (FOLDER / f"{kind}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("[") and line.endswith("]"):
            name = line[1:-1]
            found[name] = []
        elif line.strip() and not line.startswith("#"):
            found[name].append("" if line == "~" else line.rstrip())
    return {name: tuple(lines) for name, lines in found.items()}


@cache
def _parsed(line: str) -> tuple[_Node, ...]:
    nodes, end = _sequence(line, 0, inside=False)
    if end != len(line):
        raise ValueError(f"a bracket is closed and never opened in {line!r}")
    return nodes


def _sequence(line: str, at: int, *, inside: bool) -> tuple[tuple[_Node, ...], int]:
    nodes: list[_Node] = []
    while at < len(line) and not (inside and line[at] in "|)"):
        if line[at] == "(":
            choice, at = _choice(line, at + 1)
            nodes.append(choice)
        elif line[at] == "{":
            end = line.index("}", at)
            optional = line[end + 1 : end + 2] == "?"
            nodes.append(_List(line[at + 1 : end], optional))
            at = end + 1 + optional
        else:
            ends = [line.find(sign, at) for sign in ("({|)" if inside else "({")]
            stop = min((end for end in ends if end >= 0), default=len(line))
            nodes.append(_Text(line[at:stop]))
            at = stop
    return tuple(nodes), at


def _choice(line: str, at: int) -> tuple[_Choice, int]:
    ways: list[tuple[_Node, ...]] = []
    while True:
        way, at = _sequence(line, at, inside=True)
        ways.append(way)
        if at >= len(line):
            raise ValueError(f"a bracket is opened and never closed in {line!r}")
        at += 1
        if line[at - 1] == ")":
            break
    optional = line[at : at + 1] == "?"
    return _Choice(tuple(() if way == (_Text("~"),) else way for way in ways), optional), at + optional


def _tidy(text: str) -> str:
    """One space between words, none before a comma, and the article that fits."""
    text = _spaced(text.replace("an?", "a"))
    text = re.sub(r"\b([Aa])n? (?=[aeiouAEIOU])", r"\1n ", text)
    return re.sub(r"\b([Aa])n (?=[^aeiouAEIOUh8])", r"\1 ", text)


def _spaced(text: str) -> str:
    """One space between words, none before a comma, no comma at the ends."""
    return re.sub(r" ([,.:!?])", r"\1", " ".join(text.split())).strip(" ,")
