"""The table of prices, by model, in a file that users can edit."""

import datetime
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from orchestrator.config.reading import place_of, read
from orchestrator.config.sections import Section, keys_to, one_line
from orchestrator.core.budget import Price
from orchestrator.errors import ConfigError

Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


class PriceConfig(Section):
    """USD per million tokens. ``cached_input`` defaults to ``input``."""

    input: Dollars
    cached_input: Dollars | None = None
    output: Dollars

    def price(self) -> Price:
        return Price(**self.model_dump())


class Prices(Section):
    """Prices of ``models``, by name or pattern, on the day ``as_of``."""

    as_of: datetime.date
    models: dict[str, PriceConfig]

    def of(self, model: str) -> Price | None:
        """A model's price: under its name, under its name without the date, or under the first
        pattern that matches either."""
        name = model.rpartition("/")[2]
        for wanted in (model, name, _DATE.sub("", name)):
            if (found := self.models.get(wanted)) is not None:
                return found.price()
        for pattern, found in self.models.items():
            if fnmatchcase(model, pattern) or fnmatchcase(name, pattern):
                return found.price()
        return None


def read_prices(path: Path) -> Prices:
    """A table of prices. Raises ``ConfigError``."""
    try:
        return Prices.model_validate(read(path))
    except ValidationError as error:
        raise ConfigError(f"{place_of(path, keys_to(error))}: {one_line(error)}") from None
