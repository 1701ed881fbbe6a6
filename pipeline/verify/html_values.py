"""Values of the report in a form that people read: chances, times, sizes, lists of labelled values."""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from pipeline.types import Json, JsonValue
from pipeline.verify.html_markup import NOTHING, Html, element, join, shown, words

MAX_ITEMS: Final = 40
VALUE_CHARS: Final = 300
MAX_CLOCK_SECONDS: Final = 359_999.9  # 99:59:59.9
BYTE_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
LABELS: Final = {
    "payload": "Payload",
    "log10_chance": "Chance for an unmarked clip",
    "presence_log10_chance": "Chance for an unmarked clip, mark present",
    "span": "Read between",
    "size_bytes": "File size",
    "sha256": "SHA-256 of the file",
    "urn": "Credential number",
    "hash_ok": "Content as signed",
    "signature_ok": "Signature holds",
    "signer_cert_sha256": "Signer’s certificate, SHA-256",
    "frame_rate": "Frames per second",
    "codec": "Video codec",
    "duration": "Length",
    "seconds": "Length",
    "id": "Release",
    "verdict": "What the marks say",
    "hole": "Hole in the hidden mark, log odds",
    "left": "Hidden mark left where plates are missing, share",
}
KEY_VALUES: Final = ("verdict", "payload", "log10_chance", "span")


def value_list(values: Json, keys: Iterable[str] | None = None) -> Html:
    """A ``<dl>`` of the values (only those named by `keys`, in that order); nothing when there are none."""
    chosen = values.items() if keys is None else ((key, values[key]) for key in keys if key in values)
    rows = [row for key, value in list(chosen)[:MAX_ITEMS] for row in _rows(key, value)]
    pairs = (element("div", element("dt", label), element("dd", value)) for label, value in rows[:MAX_ITEMS])
    return element("dl", *pairs, class_="values") if rows else NOTHING


def media_list(media: Json) -> Html:
    """The file's own facts, width and height joined into one."""
    width, height = number(media.get("width")), number(media.get("height"))
    if width is None or height is None:
        return value_list(media)
    rest = {key: value for key, value in media.items() if key not in ("width", "height")}
    return value_list({"picture": f"{width:.0f} × {height:.0f} pixels", **rest})


def _rows(key: str, value: JsonValue) -> list[tuple[Html, Html]]:
    """One row per value; one level of a nested object is laid out, None says nothing and is left out."""
    label = words(LABELS[key]) if key in LABELS else _label(key)
    if isinstance(value, dict):
        return [(join(label, words(" · "), _label(name)), format_value(name, item))
                for name, item in list(value.items())[:MAX_ITEMS] if item is not None]  # fmt: skip
    return [] if value is None else [(label, format_value(key, value))]


def _label(key: str) -> Html:
    text = shown(key.replace("_", " "), 60)
    return Html(text[:1].upper() + text[1:])


def format_value(key: str, value: JsonValue) -> Html:
    """`value` in the form that its name asks for; a value of an unexpected kind is shown plainly."""
    formatter = FORMATS.get(key, _time_value if key.endswith(("_at", "_time")) else None)
    return (formatter(value) if formatter else None) or _plain(value)


def _plain(value: JsonValue) -> Html:
    if isinstance(value, bool):
        return words("yes" if value else "no")
    if isinstance(value, int | float):
        return words(f"{value:.6g}" if isinstance(value, float) else shorten(str(value)))
    if isinstance(value, list) and value:
        items = [_plain(item) for item in value[:MAX_ITEMS]]
        return join(*(join(words(", ") if place else NOTHING, item) for place, item in enumerate(items)))
    if isinstance(value, dict):
        return words("see the forensic record")
    return shown(value, VALUE_CHARS) if isinstance(value, str) and value else words("none")


def shorten(text: str) -> str:
    """At most `VALUE_CHARS` characters."""
    return text if len(text) <= VALUE_CHARS else text[: VALUE_CHARS - 1] + "…"


def number(value: object) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def chance(value: object) -> Html | None:
    """“1 in 10ⁿ” for a log10 of a probability, rounded to the side that claims less."""
    exponent = number(value)
    if exponent is None:
        return None
    zeros = math.floor(-exponent)
    if zeros < 1:
        return words("no better than chance")
    power = join(element("span", words("^"), class_="unseen"), element("sup", words(str(zeros))))
    named = words(f" (a 1 with {zeros} zero{'s' if zeros > 1 else ''})")
    return join(words("at most 1 in 10"), power, element("span", named, class_="aside"))


def clock(seconds: float, *, tenths: bool = False) -> str:
    """m:ss, or h:mm:ss from an hour on; `tenths` adds one decimal. Rounded down; below zero counts as 0, and
    more than `MAX_CLOCK_SECONDS` as that.
    """
    ticks = math.floor(min(max(seconds, 0.0), MAX_CLOCK_SECONDS) * 10 + 1e-6)
    minutes, rest = divmod(ticks // 10, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
    return f"{text}.{ticks % 10}" if tenths else text


def span(value: object) -> Html | None:
    """[first, last] second as “0:01–0:07”."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    first, last = number(value[0]), number(value[1])
    return None if first is None or last is None else words(f"{clock(first)}–{clock(last)}")


def spans(value: object) -> Html | None:
    """Several spans in a row; None for anything else."""
    if not isinstance(value, list) or not value:
        return None
    told = [span(one) for one in value[:MAX_ITEMS]]
    if any(one is None for one in told):
        return None
    return join(*(join(words(", ") if place else NOTHING, one or NOTHING) for place, one in enumerate(told)))


def _plate(value: JsonValue) -> Html | None:
    """One plate of the visible mark: its state, and when it was taken away."""
    if not isinstance(value, dict):
        return None
    removed = spans(value.get("removed"))
    return join(shown(value.get("state")), words("; taken away ") if removed else NOTHING, removed or NOTHING)


def _places(value: JsonValue) -> Html | None:
    """Boxes over time: too many to read here."""
    return words(f"{len(value)} moments, in the forensic record") if isinstance(value, list) else None


def moment(text: object) -> Html:
    """An RFC 3339 time as “12 November 2026, 14:02:07 UTC”; anything else as it is."""
    try:
        parsed = datetime.fromisoformat(text) if isinstance(text, str) else None
        time = parsed.astimezone(UTC) if parsed is not None and parsed.tzinfo is not None else None
    except (ValueError, OverflowError):
        time = None
    if time is None:
        return shown(text, VALUE_CHARS)
    day = f"{time.day} {MONTHS[time.month - 1]} {time.year}"
    written = words(f"{day}, {time:%H:%M:%S} UTC")
    return element("time", written, datetime=f"{time:%Y-%m-%dT%H:%M:%SZ}")


def _time_value(value: JsonValue) -> Html | None:
    return moment(value) if isinstance(value, str) else None


def _bytes(value: object) -> Html | None:
    size = number(value)
    if size is None or size < 0:
        return None
    unit = min(int(math.log10(size) // 3), len(BYTE_UNITS) - 1) if size >= 1 else 0
    return words(f"{size / 1000**unit:.{1 if unit else 0}f} {BYTE_UNITS[unit]}")


def _length(value: object) -> Html | None:
    seconds = number(value)
    return None if seconds is None else words(clock(seconds, tenths=True))


def _code(value: object) -> Html | None:
    """Hexadecimal or a number of ours, in a fixed-width face, free to wrap."""
    return element("code", shown(value, VALUE_CHARS)) if isinstance(value, str) and value else None


FORMATS: Final[dict[str, Callable[[JsonValue], Html | None]]] = {
    "log10_chance": chance, "presence_log10_chance": chance, "span": span, "size_bytes": _bytes,
    "duration": _length, "seconds": _length, "payload": _code, "urn": _code, "sha256": _code, "id": _code,
    "signer_cert_sha256": _code, "present": spans, "missing": spans, "removed": spans, "label": _plate,
    "handle": _plate, "places": _places,
}  # fmt: skip
