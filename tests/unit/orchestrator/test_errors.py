import inspect

import pytest

from orchestrator import errors
from orchestrator.errors import (
    BadResponse,
    BudgetExhausted,
    ContextOverflow,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
    OrchardError,
)

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_an_orchard_error_and_is_drawn_in_the_tree(kind: type) -> None:
    assert issubclass(kind, OrchardError)
    assert kind.__name__ in str(errors.__doc__)


def test_whatever_an_endpoint_did_is_caught_as_one_kind_that_knows_its_url() -> None:
    for kind in (EndpointUnavailable, EndpointRefused, BadResponse, ContextOverflow):
        error = kind("why", url="http://host")
        assert isinstance(error, EndpointError)
        assert (str(error), error.url) == ("why", "http://host")


def test_an_exhausted_budget_says_what_ran_out_of_how_much_and_where() -> None:
    error = BudgetExhausted("policy_tokens", 100_000, "problem")
    assert str(error) == "the problem budget of 100000 policy tokens is used up"
    assert (error.limit, error.allowed, error.scope) == ("policy_tokens", 100_000, "problem")
