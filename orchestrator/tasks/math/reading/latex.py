r"""One spelling for an answer's text.

Decoration goes (``$…$``, ``\left``, ``**…**``), LaTeX's and Unicode's many spellings become one
(\dfrac and ½ are \frac), and whatever may mean something stays, ``\text{…}`` above all. Each rule
is one linear pass over a text of bounded length.
"""

import re
import unicodedata
from collections.abc import Callable

MAX_ANSWER = 2_000
"""Characters; a longer answer equals only itself."""

TEXT, END = "\x02", "\x03"
r"""Around what stands in ``\text{…}``."""

_DOLLAR = "\x04"
_WRAPPERS = (
    ("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"),
    ('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"),
)  # fmt: skip
_UNICODE = {
    "−": "-", "–": "-", "‐": "-", "‑": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ",
    "÷": "/", "π": r"\pi ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "λ": r"\lambda ",
    "φ": r"\phi ", "ω": r"\omega ", "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ", "≤": r"\le ",
    "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "∈": r"\in ", "≈": r"\approx ",
    "≡": r"\equiv ", "±": r"\pm ", "∓": r"\mp ", "√": r"\sqrt ", "∅": r"\emptyset ",
    "ℝ": r"\mathbb{R}", "∖": r"\setminus ", "°": r"^\circ ", "％": "%", "，": ", ", "：": ":",
    "′": "'", "’": "'", "…": "...", "\N{FRACTION SLASH}": "/", "⟨": r"\langle ", "⟩": r"\rangle ",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "∠": r"\angle ",
}  # fmt: skip

Replacement = str | Callable[[re.Match[str]], str]


def _text(match: re.Match[str]) -> str:
    """Marked as text, but for what would be the same outside: numbers, connecting commas."""
    content = re.sub(r"\\[ ,;:!]|~", " ", match[1]).replace("$", "")
    return f"{TEXT}{content}{END}" if any(map(str.isalpha, content)) else f" {content} "


def _reversed(match: re.Match[str]) -> str:
    """]1, 2[ is (1, 2)."""
    opening, ends, closing = match[2], match[3], match[4]
    return "".join(
        (match[1], "(" if opening == "]" else "[", ends, ")" if closing == "[" else "]", match[5])
    )


_REWRITES: tuple[tuple[re.Pattern[str], Replacement], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (
            r"\\(?:text(?:rm|sf|tt|normal|bf|it|up)?|mbox|hbox|math(?:rm|sf|tt)|operatorname\*?)"
            r" ?\{((?:[^{}]|\{[^{}]*\})*)\}",
            _text,
        ),
        (
            r"\\(?:left|right|[bB]igg?[lrm]?|middle|displaystyle|textstyle|limits|rm|bf"
            r"|small|normalsize|[lL]arge|LARGE|[hH]uge)(?![a-zA-Z])\.?",
            "",
        ),
        (r"\\(?:(?:text)?color|[hv]space\*?|[hv]?phantom) ?\{[^{}]*\}|\\underline ?(?=\{)", ""),
        (r"(\d), ?\\! ?(?=\d{3}(?!\d))", r"\1"),
        (r"(?<=\d)\{,\}(?=\d{3}(?!\d))", ""),
        (r"\{,\}", ","),
        (r"(\\\\)|\\!", lambda match: match[1] or ""),
        (r"(\\\\)|\\(?:[,;: ]|q?quad(?![a-zA-Z])|thinspace(?![a-zA-Z]))|~", lambda m: m[1] or " "),
        (r"\\(?:mathbf|mathit|mathnormal|boldsymbol|bm|pmb) ?\{([^{}]*)\}", r"\1"),
        (
            r"\\(?:overline|bar|(hat)) ?(?:\{ ?([A-Za-z]) ?\}| ([A-Za-z])(?![A-Za-z]))",
            lambda m: f" {m[2] or m[3]}_{{{m[1] or 'bar'}}} ",
        ),
        (
            r"\\(?:overline|overrightarrow|overleftrightarrow|widehat|vec)"
            r" ?(?:\{ ?([A-Za-z]+) ?\}| ([A-Za-z])(?![A-Za-z]))",
            lambda match: f" {match[1] or match[2]} ",
        ),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\[dt]binom(?![a-zA-Z])", r"\\binom"),
        (r"\\(?:text)?degree(?![a-zA-Z])", r"^\\circ "),
        (r"\^ ?\{ ?\^? ?\\circ ?\}|\^ ?\^ ?\\circ", r"^\\circ "),
        (r"\\lbrace(?![a-zA-Z])", r"\\{"),
        (r"\\rbrace(?![a-zA-Z])", r"\\}"),
        (r"\\(?:varnothing|O)(?![a-zA-Z])", r"\\emptyset "),
        (r"\\(?:Bbb|mathbb) ?(?:\{ ?([A-Z]) ?\}|([A-Z]))", lambda m: rf"\mathbb{{{m[1] or m[2]}}}"),
        (r"\\prime(?![a-zA-Z])", "'"),
        (r"\^ ?(?:\{ ?('[' ]*)\}|('+))", lambda match: match[1] or match[2]),
        (rf"\( ?(?:\\?b?mod|{TEXT} ?mod ?{END})(?![a-zA-Z]) ?([^()]*)\)", r"\\mod \1"),
        (r"\\pmod ?(?:\{([^{}]*)\}|(\w))", lambda match: rf"\mod {match[1] or match[2]}"),
        (r"\\%", "%"),
        (r"^\+-|\+/-", r"\\pm "),
        (r"(?<=\d) ?[xX] ?(?=10 ?\^)", r"\\times "),
        (r"\$", " "),
        (r"(^|\\cup ?|\\in ?|= ?)(\])([^\[\]()]*,[^\[\]()]*)([\[\]])()", _reversed),
        (r"()([(\[])([^\[\]()]*,[^\[\]()]*)(\[)( ?\\cup|$)", _reversed),
    )
)
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_BOX = re.compile(r"\\?(?:boxed|fbox|framebox) ?\{(.*)\}", re.DOTALL)


def normalise(answer: str) -> str:
    """The answer without decoration. Spaces remain, as single ones; ``$`` is the currency."""
    text = answer.replace(r"\$", _DOLLAR)
    if text.count("$") == 1:  # opens no formula
        text = text.replace("$", _DOLLAR)
    text = unwrap(text)
    if not text.isascii():
        text = _SUPERSCRIPTS.sub(lambda m: f"^{{{unicodedata.normalize('NFKC', m[0])}}}", text)
        text = "".join(map(_spell, text))
    if r"\begin" not in text:  # where rows end; elsewhere a backslash that was escaped twice
        text = re.sub(r"\\\\(?=[a-zA-Z()\[\]{}])", r"\\", text).replace("\\\\", ", ")
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return unwrap(" ".join(text.split())).replace(_DOLLAR, "$")


def unwrap(text: str) -> str:
    """The text without the quotes, dollars, box or full stop around it."""
    while True:
        before, text = text, text.strip()
        if not text.endswith(("..", r"\dots.", r"\ldots.", "\\.")):
            text = text.removesuffix(".")
        text = (
            text.removesuffix(",").removesuffix(";").rstrip("\\") if text[-2:-1] != "\\" else text
        )
        for opening, closing in _WRAPPERS:
            inner = text[len(opening) : -len(closing)]
            if (
                len(text) > len(opening) + len(closing)
                and text.startswith(opening)
                and text.endswith(closing)
                and opening not in inner
                and closing not in inner
            ):
                text = inner
        if (box := _BOX.fullmatch(text)) and is_balanced(box[1]):
            text = box[1]
        if text == before:
            return text


def is_balanced(text: str) -> bool:
    """Whether each brace within the text closes one of its own."""
    depth = 0
    for brace in re.findall(r"\\.|[{}]", text):
        depth += (brace == "{") - (brace == "}")
        if depth < 0:
            return False
    return depth == 0


def plain(text: str) -> str:
    r"""What is normalised as a person would type it, without the marks of ``\text{…}``."""
    return " ".join(text.replace(TEXT, " ").replace(END, " ").split())


def compact(text: str) -> str:
    """Without spaces, but for those between letters or digits: for comparing spellings only."""
    return re.sub(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])", "", plain(text))


def _spell(character: str) -> str:
    if character in _UNICODE:
        return _UNICODE[character]
    form, _, codes = unicodedata.decomposition(character).partition(" ")
    if form not in ("<fraction>", "<super>", "<wide>", "<noBreak>"):
        return character
    spelled = "".join(chr(int(code, 16)) for code in codes.split())
    if form == "<fraction>":
        over, _, under = spelled.partition("\N{FRACTION SLASH}")
        return rf"\frac{{{over}}}{{{under}}}"
    return f"^{{{spelled}}}" if form == "<super>" else spelled
