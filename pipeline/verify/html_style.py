"""The look of the report: one style sheet, and icons whose shapes differ, so that colour never speaks alone.

Contrast (WCAG 2.2): text at least 4.5 to 1 and icons at least 3 to 1 on their grounds, in both schemes;
tests/unit/verify/test_html_report.py computes it.
"""

from typing import Final

from pipeline.types import EvidenceState, FileVerdict
from pipeline.verify.html_markup import Html, element

# Strokes on a 24 x 24 grid.
RING: Final = "M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 1 0 0-17z"
TRIANGLE: Final = "M12 3.5L21.5 20h-19z"
ICONS: Final[dict[EvidenceState | FileVerdict, tuple[str, ...]]] = {
    # Plus and minus, no tick: found is not the same as good.
    EvidenceState.FOUND: (RING, "M8 12h8", "M12 8v8"),
    EvidenceState.ABSENT: (RING, "M8 12h8"),
    EvidenceState.NOT_CHECKED: ("M8 8.7a4 4 0 1 1 6 3.5c-1.3.8-2 1.6-2 3", "M12 19.4h.01"),
    EvidenceState.FAILED: (TRIANGLE, "M12 10v4.5", "M12 17.2h.01"),
    FileVerdict.INTACT: (RING, "M12 8.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7z"),
    FileVerdict.RECOVERED: ("M4.5 8.5A8.5 8.5 0 1 1 3.5 12", "M4 3.5v5h5"),
    FileVerdict.RECOVERED_UNCONFIRMED: ("M4.5 8.5A8.5 8.5 0 1 1 3.5 12", "M4 3.5v5h5", "M12 12h.01"),
    FileVerdict.ALTERED: (RING, "M5 21L19 3"),
    FileVerdict.CONFLICT: ("M3.5 8h14", "M14 4.5L17.5 8L14 11.5", "M20.5 16h-14", "M10 12.5L6.5 16L10 19.5"),
    FileVerdict.UNTRUSTED_CLAIM: ("M3.5 4.5h17v12h-9l-5 4v-4h-3z", "M12 7.5v3.5", "M12 13.6h.01"),
    FileVerdict.FOREIGN: (RING, "M9 9h6v6H9z"),
    FileVerdict.TRACES: ("M3.5 18.5l1.5-1.5", "M9 13l1.5-1.5", "M14 8l1.5-1.5", "M19 3l.6-.6"),
    FileVerdict.INCONCLUSIVE: (RING, "M9.5 9.6a2.6 2.6 0 1 1 3.7 2.4c-.8.4-1.2.9-1.2 1.8", "M12 16.6h.01"),
    FileVerdict.NONE: (RING,),
    FileVerdict.UNREADABLE: ("M6 3h8l4 4v14H6z", "M9.5 11l5 5", "M14.5 11l-5 5"),
}
FLAG_ICON: Final = ("M6 21V4", "M6 5h11l-2.5 4L17 13H6")


def icon(*strokes: str) -> Html:
    """A drawing that stands beside its word, hidden from screen readers."""
    return element("svg", *(element("path", d=stroke) for stroke in strokes), viewBox="0 0 24 24",
                   class_="icon", aria_hidden="true")  # fmt: skip


LIGHT: Final = {
    "ground": "#fbfaf7", "raised": "#f3f0e9", "ink": "#1d1c1a", "soft": "#5a564f", "line": "#d9d4c8",
    "known": "#0b4f6c", "caution": "#8c3a00", "open": "#4b4842", "link": "#0b4f6c",
}  # fmt: skip
DARK: Final = {
    "ground": "#161513", "raised": "#201e1b", "ink": "#ece8df", "soft": "#b0a99c", "line": "#3d3933",
    "known": "#93cbe6", "caution": "#f2b478", "open": "#c9c3b8", "link": "#93cbe6",
}  # fmt: skip


def _scheme(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


SANS: Final = 'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif'
SERIF: Final = '"Iowan Old Style",Charter,"Source Serif 4","Palatino Linotype",Palatino,Georgia,serif'
MONO: Final = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace'

BASE: Final = f"""
:root{{color-scheme:light dark;{_scheme(LIGHT)}}}
@media (prefers-color-scheme:dark){{:root{{{_scheme(DARK)}}}}}
*{{box-sizing:border-box}}
body{{margin:0;background:var(--ground);color:var(--ink);font:1rem/1.55 {SANS};
-webkit-text-size-adjust:100%;text-size-adjust:100%;overflow-wrap:anywhere}}
body>*{{max-width:54rem;margin-inline:auto;padding-inline:1.25rem}}
h1,h2,h3,p,dl,ol,ul,figure,dd{{margin:0;padding:0}}
ol,ul{{list-style:none}}
h2,.headline{{font-family:{SERIF};font-weight:600;text-wrap:balance}}
h3{{font-size:1rem;font-weight:650;margin-bottom:.4rem}}
code,pre{{font:.875em/1.5 {MONO}}}
a{{color:var(--link);text-underline-offset:.18em}}
:focus-visible{{outline:3px solid var(--link);outline-offset:3px;border-radius:2px}}
.icon{{width:1.25em;height:1.25em;flex:none;fill:none;stroke:currentColor;stroke-width:2;
stroke-linecap:round;stroke-linejoin:round;vertical-align:-.28em}}
.soft,.aside{{color:var(--soft)}}
.unseen{{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}}
.known{{color:var(--known)}}.caution{{color:var(--caution)}}.open{{color:var(--open)}}
sup{{line-height:0;font-size:.75em}}
"""

PAGE: Final = """
.masthead{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;justify-content:space-between;align-items:baseline;
padding-block:1.5rem .9rem}
.masthead h1{font-size:1rem;font-weight:650}
.masthead p{color:var(--soft);font-size:.9375rem}
.contents{padding-block:.5rem 1rem}
.contents li{display:flex;gap:.2rem .75rem;flex-wrap:wrap;align-items:baseline;padding-block:.45rem;
border-top:1px solid var(--line)}
.contents a{flex:1 1 16rem;padding-block:.15rem}
.file{border-top:3px solid var(--ink);padding-block:1.5rem 2.5rem}
.file>*+*{margin-top:1.75rem}
.name{color:var(--soft);font-size:.9375rem}
.name bdi{color:var(--ink);font-weight:600}
.headline{font-size:clamp(1.5rem,1.1rem + 1.9vw,2.25rem);line-height:1.2;margin-block:.6rem 1rem;
letter-spacing:-.012em}
.chips{display:flex;flex-wrap:wrap;gap:.5rem}
.chip{display:inline-flex;align-items:center;gap:.45em;border:1.5px solid currentColor;border-radius:99px;
padding:.2rem .8rem .2rem .6rem;font-weight:600;font-size:.9375rem;line-height:1.4}
.chip.flag{border-style:dashed}
.meaning{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,19rem),1fr));gap:1.25rem 2.5rem}
.flags li{border-left:3px solid var(--caution);padding:.1rem 0 .1rem .9rem}
.flags li+li{margin-top:.8rem}
.evidence{width:100%;border-collapse:collapse;text-align:left}
.evidence caption{text-align:left;font-weight:650;padding-bottom:.5rem}
.evidence th,.evidence td{vertical-align:top;padding:.7rem 1rem .7rem 0;border-top:1px solid var(--line)}
.evidence thead th{font-size:.875rem;font-weight:500;color:var(--soft);padding-block:.3rem;border-top:0}
.evidence tbody th{width:13rem;font-weight:600}
.evidence tbody th span{display:block;font-weight:400;font-size:.875rem;color:var(--soft)}
.evidence td.state{width:10.5rem;white-space:nowrap;font-weight:600}
.evidence td:last-child{padding-right:0}
.evidence tbody tr:last-child>*{border-bottom:1px solid var(--line)}
.after{margin-top:.6rem;font-size:.875rem;color:var(--soft)}
.values{display:grid;gap:.3rem;font-size:.9375rem}
.values>div{display:grid;grid-template-columns:11rem 1fr;gap:0 1rem}
.values dt{color:var(--soft)}
td .values{margin-top:.5rem}
td .values>div{grid-template-columns:7.5rem 1fr}
details{border-top:1px solid var(--line);border-bottom:1px solid var(--line)}
details+details{margin-top:-1px!important}
summary{cursor:pointer;font-weight:650;padding-block:.75rem;min-height:1.5rem}
summary span{font-weight:400;color:var(--soft)}
.inside{padding-block:.4rem 1.5rem}
.inside>*+*{margin-top:1.5rem}
.inside ul{list-style:disc;padding-left:1.2rem}
pre{margin:0;background:var(--raised);border:1px solid var(--line);border-radius:4px;padding:1rem;
white-space:pre-wrap;font-size:.8125rem}
.how{padding-bottom:3.5rem}
.how h2{border-top:3px solid var(--ink);padding-top:1.5rem;font-size:1.5rem;line-height:1.25;
margin-bottom:.75rem}
.how>p,.inside>p,section>p,.meaning p{max-width:44rem}
.how>p+p{margin-top:.75rem}
.how>*+ul,.how>ul+*{margin-top:1.5rem}
.how li+li{margin-top:1.5rem}
.how li>div{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,19rem),1fr));
gap:.5rem 2.5rem}
.how li b{display:block;font-weight:500;font-size:.875rem;color:var(--soft)}
"""

PICTURES: Final = """
.strip{display:grid;grid-template-columns:repeat(auto-fill,minmax(12.5rem,1fr));gap:.9rem;margin-top:1rem}
.frame{position:relative;line-height:0;background:#000;border-radius:3px;overflow:hidden}
.frame img,.blank{width:100%;height:auto;display:block}
.frame svg:last-child:not(.blank){position:absolute;inset:0;width:100%;height:100%}
.frame.path img{opacity:.55}
.blank{background:#3a3a3a}
.under,.over{fill:none;vector-effect:non-scaling-stroke;stroke-linejoin:round;stroke-linecap:round}
.under{stroke:#000;stroke-opacity:.75;stroke-width:5}
.over{stroke:#fff;stroke-width:2}
.handle{stroke-dasharray:7 6}
.end{fill:#fff;stroke:#000;stroke-width:2;vector-effect:non-scaling-stroke}
figcaption{font-size:.875rem;color:var(--soft);margin-top:.35rem;font-variant-numeric:tabular-nums}
.drawing{margin-top:1.5rem;max-width:40rem}
"""

PHONE: Final = """
@media (max-width:40rem){
.evidence thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.evidence,.evidence tbody{display:block}
.evidence caption{display:block}
.evidence tr{display:grid;grid-template-columns:1fr auto;gap:.3rem 1rem;padding-block:.8rem;
border-top:1px solid var(--line)}
.evidence tbody tr:last-child{border-bottom:1px solid var(--line)}
.evidence tbody tr>*{border:0!important;padding:0;width:auto}
.evidence td.state{width:auto}
.evidence td:last-child{grid-column:1/-1}
.values>div{grid-template-columns:1fr}
.values{gap:.55rem}
td .values>div{grid-template-columns:7.5rem 1fr}
.strip{grid-auto-flow:column;grid-template-columns:none;grid-auto-columns:68%;overflow-x:auto;
padding-bottom:.5rem;scroll-snap-type:x proximity}
.strip li{scroll-snap-align:start}
}
"""

PRINT: Final = f"""
@media print{{
:root{{color-scheme:light;{_scheme(LIGHT)}--ground:#fff}}
@page{{margin:18mm 16mm}}
body{{font-size:10pt}}
body>*{{max-width:none;padding-inline:0}}
.file~.file,.contents+main .file{{break-before:page}}
h2,h3,summary,.headline,caption{{break-after:avoid}}
tr,li,figure,.values>div,.evidence,.meaning>div{{break-inside:avoid}}
.strip{{grid-template-columns:repeat(4,1fr);overflow:visible}}
.how{{font-size:9pt;padding-bottom:0}}
.how h2{{padding-top:.8rem}}
.how li+li,.how>*+ul,.how>ul+*{{margin-top:.8rem}}
.frame,.frame *,.chip{{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
.contents a{{color:inherit;text-decoration:none}}
}}
"""

STYLE: Final = "".join(
    line.strip() + "\n" for part in (BASE, PAGE, PICTURES, PHONE, PRINT) for line in part.split("\n") if line
)
