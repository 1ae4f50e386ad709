"""Styles of figures: sizes for a paper's column, colours safe for colour blindness and print."""

from dataclasses import dataclass
from typing import Any
from zlib import crc32

INK = "#333333"
BLACK = "#000000"
FAINT = "#d9d9d9"
REFERENCE = "#666666"

PANEL_WIDTH = 3.4
PANEL_HEIGHT = 2.3
LEGEND_HEIGHT = 0.45

RC: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.parse_math": False,  # a name may have dollars in it
    # A fixed salt gives the same SVG for the same numbers, so that figures can be compared.
    "svg.hashsalt": "orchard",
}


@dataclass(frozen=True, slots=True)
class Marking:
    """A ``colour`` of Okabe & Ito's palette, and a marker that tells curves apart without it."""

    colour: str
    marker: str


LOOKS = {
    "majority": Marking(BLACK, "o"),
    "confidence vote": Marking("#999933", "o"),
    "best-of-N": Marking("#56B4E9", "s"),
    "weighted vote": Marking("#0072B2", "D"),
    "beam search": Marking("#D55E00", "^"),
    "DVTS": Marking("#009E73", "v"),
}
"""The looks of the built-in strategies, in the order of a legend."""

KINDS_OF_VOTES = {
    "Max": LOOKS["best-of-N"],
    "Weighted": LOOKS["weighted vote"],
    "BestOfMajority": Marking("#D55E00", "^"),
    "Pooled": Marking("#009E73", "v"),
    "Confident": LOOKS["confidence vote"],
    "TopConfident": Marking("#0072B2", "s"),
    "Borda": Marking("#D55E00", "^"),
    "MostConfident": Marking("#009E73", "v"),
}
"""The looks of votes, by the names of their classes."""

OTHER_LOOKS = tuple(
    Marking(colour, marker)
    for marker in ("<", ">", "h")
    for colour in ("#882255", "#44AA99", "#999933", "#AA4499")  # Paul Tol's muted palette
)
"""The looks of other strategies, chosen by a hash of the name: the same in every figure."""

ACROSS = "auto across models"

ROUTED = {
    "auto": Marking("#CC79A7", "*"),
    "auto, pool": Marking("#E69F00", "P"),
    "auto by rule": Marking("#F0E442", "p"),
    ACROSS: Marking("#CC79A7", "*"),
}
"""The looks of routed cells, after the strategies in a legend."""

POLICIES = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#999933")
"""Colours of policies where several share a panel, from the smallest up."""

FRONT = "best fixed"
"""The label of the Pareto front, last in a legend."""

LABEL_SIZE = 7
"""The smallest font size, in points."""

COT_COLOUR = "#BBBBBB"

COT = Marking(COT_COLOUR, "X")
"""The look of CoT where it is a point among others."""

INTERVAL_ON_BLACK = "#999999"


def look_of(label: str) -> Marking:
    """The look of a curve, by its label."""
    return LOOKS.get(label) or OTHER_LOOKS[crc32(label.encode()) % len(OTHER_LOOKS)]
