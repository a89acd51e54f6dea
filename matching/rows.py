"""Rows of several fields: numpy copies them field by field, as bytes they are copied three times faster."""

from typing import Any

import numpy as np
import numpy.typing as npt


def fill_first(rows: npt.NDArray[Any], first: npt.NDArray[Any]) -> None:
    """Copy contiguous rows to the beginning of others."""
    rows[: len(first)].view(np.uint8)[...] = first.view(np.uint8)
