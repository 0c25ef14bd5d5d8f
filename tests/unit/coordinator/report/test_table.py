"""Tables to the letter."""

from coordinator.report.table import empty_columns, markdown_table, table_without, text_table


def test_text_table() -> None:
    found = text_table(["id", "n"], [["vote", "4"], ["日本", "120"]], frozenset({"n"}))
    assert found.splitlines() == ["id      n", "----  ---", "vote    4", "日本  120"]


def test_a_table_without_rows_is_its_head() -> None:
    assert text_table(["id"], []) == "id\n--"


def test_markdown_table() -> None:
    found = markdown_table(["id", "n"], [["a|b", "4"]], frozenset({"n"}))
    assert found.splitlines() == ["| id | n |", "|---|---:|", "| a\\|b | 4 |"]


def test_columns_that_say_nothing() -> None:
    headers, rows = ["id", "parent", "tokens", "note"], [["0", "-", "0", ""], ["1", "0", "0", "-"]]
    assert empty_columns(headers, rows, {"tokens"}) == {"tokens", "note"}
    assert empty_columns(headers, rows) == {"note"}
    assert empty_columns(headers, []) == set(headers)
    found = table_without({"tokens", "note"}, headers, rows, frozenset({"parent"}))
    assert found.splitlines() == ["id  parent", "--  ------", "0        -", "1        0"]
    assert table_without({"parent", "tokens", "note"}, headers, rows, frozenset(), markdown=True).startswith("| id |")
