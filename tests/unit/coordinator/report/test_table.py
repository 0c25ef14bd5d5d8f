"""Tables to the letter."""

from coordinator.report.table import markdown_table, text_table


def test_text_table() -> None:
    found = text_table(["id", "n"], [["vote", "4"], ["日本", "120"]], frozenset({"n"}))
    assert found.splitlines() == ["id      n", "----  ---", "vote    4", "日本  120"]


def test_a_table_without_rows_is_its_head() -> None:
    assert text_table(["id"], []) == "id\n--"


def test_markdown_table() -> None:
    found = markdown_table(["id", "n"], [["a|b", "4"]], frozenset({"n"}))
    assert found.splitlines() == ["| id | n |", "|---|---:|", "| a\\|b | 4 |"]
