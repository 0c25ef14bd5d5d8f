"""The ACL file: what stands in it, and what does not. That Redis enforces it is tests/integration/test_broker.py's."""

import re

import pytest

from shared.broker_acl import ROLES, acl_lines, main, variable

PASSWORDS = {"coordinator": "one", "worker": "two/@:", "flower": "three"}


def test_a_line_for_each_user_and_nobody_else() -> None:
    lines = acl_lines(PASSWORDS)
    assert [line.split()[1:3] for line in lines] == [["default", "off"], *([role, "on"] for role in ROLES)]
    assert lines[0] == "user default off resetchannels -@all"


def test_passwords_are_hashed() -> None:
    text = "\n".join(acl_lines(PASSWORDS))
    assert not any(f">{word}" in text or f" {word}" in text for word in PASSWORDS.values())
    hashes = re.findall(r"#([0-9a-f]{64})\b", text)
    assert len(set(hashes)) == 3
    assert hashes[0] == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"


def test_everything_is_refused_before_something_is_allowed() -> None:
    for line in acl_lines(PASSWORDS)[1:]:
        rights = line.split(" ", 4)[4]
        assert rights.startswith("resetchannels -@all ")
        assert "+@all" not in line and "~* " not in line and "&* " not in line and "allkeys" not in line
        assert "nopass" not in line and "+@dangerous" not in line and "+@admin" not in line


def test_the_command_prints_the_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for role, word in PASSWORDS.items():
        monkeypatch.setenv(variable(role), word)
    assert main() == 0
    assert capsys.readouterr().out.splitlines() == acl_lines(PASSWORDS)


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str | None
) -> None:
    monkeypatch.setenv("SCAFFOLDRY_COORDINATOR_PASSWORD", "one")
    if value is not None:
        monkeypatch.setenv("SCAFFOLDRY_WORKER_PASSWORD", value)
    assert main() == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "SCAFFOLDRY_WORKER_PASSWORD, SCAFFOLDRY_FLOWER_PASSWORD" in said.err
    assert "COORDINATOR" not in said.err
