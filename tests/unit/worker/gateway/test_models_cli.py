"""Which models can be used on this host, and what is missing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import ModelConfigError, UnknownName
from shared.model_names import parse_model
from shared.models.spec import ModelSpec
from shared.settings import get_settings
from worker.gateway.models_cli import list_models, model_state, pull_model, render_models


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SCAFFOLDRY_CACHE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def states() -> dict[str, str]:
    return {model.name: model.state for model in list_models()}


def test_what_is_ready_and_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert states() == {
        "sim/echo": "ready",
        "sim/arithmetic": "ready",
        "sim/script:FILE": "ready",
        "local/smollm2": "weights missing",
        "openai/NAME": "key missing",
        "anthropic/NAME": "key missing",
    }
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert states()["openai/NAME"] == "ready"
    assert "sk-secret" not in render_models(list_models())


def test_what_is_missing_comes_with_its_remedy() -> None:
    details = {model.name: model.detail for model in list_models()}
    assert "scaffoldry models pull local/smollm2" in details["local/smollm2"]
    assert "OPENAI_API_KEY" in details["openai/NAME"]


def test_a_key_in_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MY_KEY=sk-1\n")
    spec = ModelSpec(model="openai/m", api_key_env="MY_KEY")
    assert model_state(parse_model("mine", {"mine": spec})).state == "ready"


def test_a_missing_script() -> None:
    assert model_state(parse_model("sim/script:none.yaml", {})).state == "not usable"


def test_what_can_be_pulled() -> None:
    assert pull_model("sim/echo") is None
    with pytest.raises(ModelConfigError, match="runs elsewhere"):
        pull_model("openai/m")
    with pytest.raises(UnknownName, match="did you mean 'local/smollm2'"):
        pull_model("local/smolm2")
