"""The data dictionary in docs/ says what the table models say."""

from resources.data_dictionary import PAGE, data_dictionary


def test_the_page_is_up_to_date():
    page = PAGE.read_text(encoding="utf-8")
    assert page == data_dictionary(), "run python -m resources.data_dictionary"
