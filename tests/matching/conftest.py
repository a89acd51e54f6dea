"""Every test of the books runs on the compiled book and on the reference alike."""

import pytest

pytest.register_assert_rewrite("tests.matching.books")

from matching import OrderBook, ReferenceBook  # noqa: E402
from tests.matching.books import BookType  # noqa: E402 - its assertions are rewritten first


@pytest.fixture(params=[OrderBook, ReferenceBook], ids=["compiled", "reference"])
def book_type(request: pytest.FixtureRequest) -> BookType:
    """Name the class of book under test."""
    book_type: BookType = request.param
    return book_type
