"""What the queue shows, and what it does not."""

from pathlib import Path

import pytest

from shared.errors import UsageError
from shared.models.result import without_paths
from shared.queue import folder_url, make_app, remove_folder, without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:secret@lab:6379/0", "redis://lab:6379/0"),
        ("rediss://user:p@ss@lab/1", "rediss://lab/1"),
        ("redis://u:se/cret@lab:1/0", "redis://..."),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_nor_in_a_refusal() -> None:
    with pytest.raises(UsageError) as caught:
        make_app("amqp://u:secret@lab")
    assert "secret" not in str(caught.value)


def test_a_folder_of_any_name_is_a_broker(tmp_path: Path) -> None:
    folder = tmp_path / "t #1 %41?x ü"
    url = folder_url(folder)
    with make_app(url).connection_for_write() as connection:
        connection.SimpleQueue("scaffoldry").put({"job": 1})
    assert len(list((folder / "messages").iterdir())) == 1
    remove_folder(url)
    assert not folder.exists()
    remove_folder("redis://localhost/0")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/lab/data/x_1 holds no experiment", ".../x_1 holds no experiment"),
        ("bind source '/var/lib/x/scaffolds/0' is not there", "bind source '.../0' is not there"),
        ("see http://127.0.0.1:8000/v1/models, 3/4 done", "see http://127.0.0.1:8000/v1/models, 3/4 done"),
    ],
)
def test_a_sentence_without_paths(text: str, shown: str) -> None:
    assert without_paths(text) == shown
