"""Rows of a result out of cells: rates against goals, for each size, real and rendered clips apart."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from benchmarks.attacks.catalog import SUITE
from benchmarks.common import Row, mean, median, once, rate
from benchmarks.trials import goals
from benchmarks.trials.cells import MARKED, QUALITY, Result
from benchmarks.trials.material import SIZES
from benchmarks.trials.running import CANNOT, DONE, EXACT, WRONG

FULL_SHARE: Final = 0.9  # of a column's seconds that a clip needs to count as full
WHOLE: Final = "full"
SHORT: Final = "shorter"
PHASES: Final = ("prepare", "attack", "detect")
UNITS: Final = {
    "psnr": "dB", "ssim": "index", "flicker": "grey levels", "vmaf plain": "points", "vmaf loss": "points",
    "kbit/s plain": "kbit/s", "bitrate": "share", "flicker encoded plain": "grey levels",
    "flicker encoded marked": "grey levels",
}  # fmt: skip

Key = tuple[str, str, str, str]


def rows(results: Sequence[Result]) -> list[Row]:
    """Everything; results of any order."""
    cells = [one for one in results if one["cell"]["attack"] != QUALITY]
    marked = [one for one in cells if one["cell"]["base"]["kind"] == MARKED]
    unmarked = [one for one in cells if one["cell"]["base"]["kind"] != MARKED]
    grouped = _grouped(marked)
    made = [row for key, group in grouped.items() for row in _attack_rows(key, group)]
    made += _summary(made)
    made += [row for key, group in _grouped(unmarked).items() for row in _false_rows(key, group)]
    made += _quality_rows([one for one in results if one["cell"]["attack"] == QUALITY])
    return made + _cost_rows(results)


def length(result: Result) -> str:
    """Whether the clip was as long as its column asks for."""
    wanted = SIZES[result["cell"]["base"]["size"]].seconds
    enough = wanted == float("inf") or result["clip_seconds"] >= FULL_SHARE * wanted
    return WHOLE if enough else SHORT


def _grouped(results: Iterable[Result]) -> dict[Key, list[Result]]:
    """By attack, size, material and length, in the catalog's order."""
    groups: dict[Key, list[Result]] = defaultdict(list)
    for one in results:
        base = one["cell"]["base"]
        groups[one["cell"]["attack"], base["size"], base["material"], length(one)].append(one)
    order, sizes = list(SUITE), list(SIZES)
    ordered = sorted(groups, key=lambda key: (order.index(key[0]), sizes.index(key[1]), key))
    return {key: groups[key] for key in ordered}


def _conditions(key: Key) -> dict[str, str | int | float | bool | None]:
    return dict(zip(("attack", "size", "material", "length"), key, strict=True))


def _attack_rows(key: Key, group: Sequence[Result]) -> list[Row]:
    """Payload exact, mark present, payload wrong; and what testifies of the visible mark."""
    done = [one for one in group if one["state"] == DONE]
    told = _conditions(key)
    cannot = sum(one["state"] == CANNOT for one in group)
    made = [once("attack does not apply", cannot, "cells", told)] if cannot else []
    if not done:
        return made
    exact = sum(one["payload"] == EXACT for one in done)
    decoded = sum(one["payload"] == EXACT and not one.get("details", {}).get("listed") for one in done)
    present = sum(bool(one["present"]) for one in done)
    made.append(_against("payload exact", exact, len(done), told, goals.goal(key[0], key[1])))
    made.append(rate("payload exact without a list", decoded, len(done), told))
    wanted = goals.goal(key[0], key[1], goals.PRESENCE)
    made.append(_against("mark present", present, len(done), told, wanted))
    made.append(rate("payload wrong", sum(one["payload"] == WRONG for one in done), len(done), told))
    looked = [one for one in done if one["removed"] is not None]
    if looked:
        made.append(_removal_row(key[0], sum(bool(one["removed"]) for one in looked), len(looked), told))
    return made


def _against(metric: str, successes: int, trials: int, told: Mapping[str, Any], wanted: float | None) -> Row:
    extra = {"goal": wanted, "reached": goals.reached(wanted, successes, trials)} if wanted else {}
    return rate(metric, successes, trials, dict(told) | extra)


def _removal_row(attack: str, flagged: int, trials: int, told: Mapping[str, Any]) -> Row:
    if attack.startswith("inpaint"):
        return _against("removal of the visible mark noticed", flagged, trials, told, goals.REMOVAL)
    limit = goals.FALSE_REMOVAL
    judged = {"goal": limit, "reached": goals.stayed_under(limit, flagged, trials)}
    return rate("removal of the visible mark claimed by mistake", flagged, trials, dict(told) | judged)


def _false_rows(key: Key, group: Sequence[Result]) -> list[Row]:
    done = [one for one in group if one["state"] == DONE]
    told = _conditions(key) | {"marks": "none"}
    if not done:
        return []
    accepted = sum(one["payload"] in (EXACT, WRONG) for one in done)
    return [
        rate("payload accepted without a mark", accepted, len(done), told),
        rate("mark claimed without a mark", sum(bool(one["present"]) for one in done), len(done), told),
        once("highest score without a mark", max(one["score"] for one in done), "score", told),
    ]  # fmt: skip


def _summary(made: Sequence[Row]) -> list[Row]:
    """How many goals are met, missed and not shown in each column."""
    counts: dict[tuple[str, str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in made:
        if "reached" in row.conditions:
            column = tuple(str(row.conditions[name]) for name in ("size", "material", "length"))
            counts[column][str(row.conditions["reached"])] += 1  # type: ignore[index]
    return [
        once(
            f"goals {state}",
            by[state],
            "rows",
            dict(zip(("size", "material", "length"), column, strict=True)),
        )
        for column, by in sorted(counts.items())
        for state in (goals.MET, goals.NOT_SHOWN, goals.MISSED)
    ]


def _quality_rows(results: Sequence[Result]) -> list[Row]:
    """Figures of each clip, then their mean over clips by size and material."""
    done = [one for one in results if one["state"] == DONE]
    made: list[Row] = []
    groups: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for one in done:
        base = one["cell"]["base"]
        told = {
            "clip": base["name"], "size": base["size"], "material": base["material"], "start": base["start"],
            "key": base["key"],
        }  # fmt: skip
        for name, value in one["figures"].items():
            made.append(once(name, value, UNITS[name], told))
            groups[name, base["size"], base["material"]].append(value)
    for (name, size, kind), values in sorted(groups.items()):
        told = {"size": size, "material": kind} | _quality_goal(name, values)
        made.append(mean(f"{name}, mean", values, UNITS[name], told))
    return made


def _quality_goal(name: str, values: Sequence[float]) -> dict[str, float | str]:
    """Goals of the picture are of what was measured, so there is no interval to wait for."""
    average = sum(values) / len(values)
    met = {
        "vmaf loss": (
            goals.VMAF_LOSS[0],
            average <= goals.VMAF_LOSS[0] and max(values) <= goals.VMAF_LOSS[1],
        ),
        "bitrate": (goals.BITRATE, average <= goals.BITRATE),
        "psnr": (goals.PSNR_FLOOR, min(values) >= goals.PSNR_FLOOR),
    }.get(name)
    return {"goal": met[0], "reached": goals.MET if met[1] else goals.MISSED} if met else {}


def _cost_rows(results: Sequence[Result]) -> list[Row]:
    """Processor seconds of a cell, by size and phase."""
    by: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in results:
        for phase in PHASES:
            if "seconds" in one:
                by[one["cell"]["base"]["size"], phase].append(one["seconds"][phase])
    return [
        median("processor seconds of a cell", values, "s", {"size": size, "phase": phase})
        for (size, phase), values in sorted(by.items())
    ]
