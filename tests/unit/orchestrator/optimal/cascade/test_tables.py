"""Bins of scores, and what is known in them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.optimal.cascade.tables import BINS, quantile_limits


@given(
    st.lists(
        st.one_of(st.sampled_from([0.2, 0.9999999, 0.9999996]), st.floats(0.001, 0.999)),
        min_size=1,
        max_size=60,
    )
)
def test_no_bin_of_scores_is_empty_however_many_are_alike(scores: list[float]) -> None:
    limits = quantile_limits(np.array(scores))
    assert len(limits) < BINS and list(limits) == sorted(set(limits))
    counts = np.bincount(np.searchsorted(limits, scores, side="right"), minlength=len(limits) + 1)
    assert counts.min() > 0
