"""What a file of an experiment is, by its place."""

from pathlib import Path

import pytest

from shared.inventory import Kind, Place, kind_of, walk


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("results/0/2-0-1/valid_12.json", Kind.RESULT),
        ("results/0/vote.v2/preflight_0.json", Kind.RESULT),
        ("quarantine/10/0/train_0.json", Kind.QUARANTINE),
        ("results/0/0/valid_01.json", Kind.NO_RECORD),
        ("results/0/0/dev_1.json", Kind.NO_RECORD),
        ("results/0/0/valid_1.json.bak", Kind.NO_RECORD),
        ("results/0/-x/valid_1.json", Kind.NO_RECORD),
        (f"results/0/{'x' * 65}/valid_1.json", Kind.NO_RECORD),
        ("results/00/0/valid_1.json", Kind.NO_RECORD),
        ("results/valid_1.json", Kind.NO_RECORD),
        ("quarantine/notes.txt", Kind.NO_RECORD),
        ("results/0/0/.nfs000123", Kind.STRANGER),
        ("results/0/0/.tmp-1-abc", Kind.TEMPORARY),
        (".tmp-1-abc", Kind.TEMPORARY),
        ("scoring/details_0.json", Kind.SCORING),
        ("scoring/totals_0.json", Kind.STRANGER),
        ("metadata.json", Kind.OURS),
        ("coordinator.lock", Kind.OURS),
        ("fences/0/0/valid_1.json", Kind.FENCE),
        ("attempts/0/0/valid_1.1-2.0a", Kind.DRAFT),
        ("scaffolds/0/llm_executor.py", Kind.OURS),
        ("scaffolds/0/notes.txt", Kind.STRANGER),
        ("damaged/results/0/0/valid_1.json", Kind.OURS),
        ("sessions/3.cancelled", Kind.OURS),
        ("notes.txt", Kind.STRANGER),
    ],
)
def test_kinds(path: str, kind: Kind) -> None:
    assert kind_of(path) is kind


def test_the_walk_follows_no_links_but_the_experiments_own_folders(tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk" / "0" / "0"
    elsewhere.mkdir(parents=True)
    (elsewhere / "valid_0.json").write_text("{}")
    (elsewhere / "valid_1.json").symlink_to("valid_0.json")
    directory = tmp_path / "experiment"
    directory.mkdir()
    (directory / "results").symlink_to(tmp_path / "disk")
    (directory / "logs").mkdir()
    (directory / "logs" / "0").symlink_to(tmp_path)
    assert list(walk(directory)) == [
        Place("logs/0", Kind.STRANGER),
        Place("results/0/0/valid_0.json", Kind.RESULT),
        Place("results/0/0/valid_1.json", Kind.NO_RECORD),
    ]
    assert list(walk(directory, "quarantine")) == []
