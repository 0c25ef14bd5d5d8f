"""The figures of several hosts, and what the page of benchmarks promises."""

import json
from typing import Any

import pytest

from benchmarks.__main__ import FIGURES
from benchmarks.hosts import Round, row
from benchmarks.page import SECTIONS, render
from tests.conftest import ROOT

PAGE = (ROOT / "docs/benchmarks.md").read_text()


def test_the_page_is_what_was_measured() -> None:
    assert render(json.loads(FIGURES.read_text())) == PAGE


def rows_of(text: str, title: str) -> list[dict[str, str]]:
    """The rows of the first table below a title, by the words at their columns' heads."""
    lines = text.partition(f"## {title}\n")[2].partition("\n## ")[0].splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [dict(zip(head, cells, strict=True)) for cells in rows]


def test_a_row_is_of_ratios_round_by_round() -> None:
    one = [Round(1.0, 0.2), Round(2.0, 0.3), Round(4.0, 0.4)]
    two = [Round(2.0, 0.5), Round(3.0, 0.7), Round(4.0, 0.6)]  # ratios 2, 1.5 and 1
    assert row(2, {1: one, 2: two}) == {"hosts": 2, "rate": 3.0, "speedup": 1.5, "linear": 0.75, "busy": 0.6}
    assert row(1, {1: one, 2: two})["linear"] == 1.0


def test_the_page_says_which_hosts_were_held() -> None:
    found: dict[str, Any] = {"sandbox": "docker", "hosts": 1, "rate": 1.0, "speedup": 1.0, "linear": 1.0, "busy": 0.5}
    text = "\n\n".join(SECTIONS["hosts"]([{**found, "processors": 0.5}, {**found, "processors": None}]))
    assert [row["processors of a host"] for row in rows_of(text, "Several hosts")] == ["held to 0.5", "shared"]


def test_hosts_are_nearly_as_fast_as_they_are_many_where_they_share_no_processor() -> None:
    rows = rows_of(PAGE, "Several hosts")
    promised = [row for row in rows if row["sandbox"] == "`process`" or "held" in row.get("processors of a host", "")]
    ways = {row["sandbox"] for row in promised}
    assert {(row["sandbox"], row["hosts"]) for row in promised} == {(way, hosts) for way in ways for hosts in "123"}
    assert ways == {"`process`", "`docker`"}
    assert [row for row in promised if float(row["of linear"]) < 0.9] == []


@pytest.mark.parametrize(("figure", "most"), [("ratio", 3.0), ("cancel, s", 15.0)])
def test_workers_are_shared_and_given_up_in_time(figure: str, most: float) -> None:
    ((found),) = rows_of(PAGE, "Sharing the workers")
    assert 0 < float(found[figure]) < most
