"""How sure a mean is: intervals by drawing recordings anew, since questions about one recording are alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000
SEED = 7
COVERED_PERCENT = (2.5, 97.5)


def bootstrap_interval(values: Sequence[float], recordings: Sequence[str]) -> tuple[float, float]:
    """The 95% interval of the mean of `values` (percentile bootstrap, Efron 1979), the same in every run.

    Whole recordings are drawn, with all their values (Field and Welsh 2007); with a single recording, its values are.
    """
    if not values or len(values) != len(recordings):
        raise ValueError(f"a mean needs one recording a value, got {len(values)} values, {len(recordings)} recordings")
    groups = [str(number) for number in range(len(values))] if len(set(recordings)) == 1 else recordings
    _, member_of = np.unique(np.asarray(groups), return_inverse=True)
    sums, counts = np.bincount(member_of, weights=np.asarray(values, dtype=float)), np.bincount(member_of)
    drawn = np.random.default_rng(SEED).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=RESAMPLES)
    low, high = np.percentile((drawn @ sums) / (drawn @ counts), COVERED_PERCENT)
    return float(low), float(high)


def percentiles(values: Sequence[float], percents: Sequence[int]) -> list[float]:
    """The values that these percents of `values` stay at or below, linearly between two; needs one value."""
    if not values:
        raise ValueError("a percentile needs at least one value, got none")
    return [float(value) for value in np.percentile(values, percents)]
