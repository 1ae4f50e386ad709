"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the config, e.g. task.problems=50. Repeatable.",
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="The run directory. If it exists, the run continues.")
]
MaxCostOption = Annotated[
    str | None,
    typer.Option(
        "--max-cost", metavar="USD", help="Stop cleanly once this is spent; a larger one continues."
    ),
]
PricesOption = Annotated[
    Path | None, typer.Option("--prices", help="A file of prices, like configs/prices.yaml.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
FiguresOption = Annotated[
    bool, typer.Option("--figures/--no-figures", help="Draw the figures (a few seconds).")
]


def overriding(
    overrides: list[str] | None, max_cost: str | None = None, prices: Path | None = None
) -> list[str]:
    """All overrides, those among them that have an option of their own."""
    return [
        *(overrides or []),
        *([f"budget.cost={max_cost}"] if max_cost is not None else []),
        *([f"prices={prices}"] if prices is not None else []),
    ]
