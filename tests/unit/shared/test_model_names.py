"""What the names of models mean."""

from typing import get_args

import pytest

from shared.errors import ModelConfigError, UnknownName
from shared.model_names import _PARSERS, LOCAL_MODELS, ProviderName, parse_model
from shared.models.spec import ModelSpec, Price
from worker.gateway.providers import PROVIDERS
from worker.gateway.weights import WEIGHTS

FREE = Price(input=0, output=0)


@pytest.mark.parametrize(
    ("name", "provider", "model", "options"),
    [
        ("sim/echo", "sim", "echo", {"price": FREE}),
        ("sim/arithmetic", "sim", "arithmetic", {"error_rate": 0.2, "price": FREE}),
        ("sim/arithmetic:0.35", "sim", "arithmetic", {"error_rate": 0.35}),
        ("sim/arithmetic:0", "sim", "arithmetic", {"error_rate": 0.0}),
        ("sim/script:a b/answers.yaml", "sim", "script", {"script": "a b/answers.yaml"}),
        ("local/smollm2", "local", "smollm2", {"price": FREE}),
        ("openai/gpt-x", "openai", "gpt-x", {"price": None, "base_url": None}),
        ("openai/org/model:tag", "openai", "org/model:tag", {}),
        ("anthropic/some-model", "anthropic", "some-model", {"price": None}),
    ],
)
def test_names(name: str, provider: str, model: str, options: dict[str, object]) -> None:
    ref = parse_model(name, {})
    assert (ref.alias, ref.provider, ref.model) == (name, provider, model)
    for field, value in options.items():
        assert getattr(ref, field) == value


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "sim",
        "sim/",
        "sim/ech",
        "sim/script",
        "local/other",
        "openai/",
        "openai/a b",
        "openai/\n",
        "nobody/x",
        "x",
    ],
)
def test_unknown_names(name: str) -> None:
    with pytest.raises(UnknownName, match="sim/echo"):
        parse_model(name, {})


def test_an_unknown_name_brings_the_nearest_and_the_known() -> None:
    with pytest.raises(UnknownName) as raised:
        parse_model("local/smolm2", {"mine": ModelSpec(model="sim/echo")})
    assert "did you mean 'local/smollm2'" in str(raised.value)
    assert "mine" in str(raised.value)


@pytest.mark.parametrize("rate", ["", "x", "nan", "inf", "-0.1", "1.01", "0.5:1"])
def test_bad_error_rates(rate: str) -> None:
    with pytest.raises(ModelConfigError, match="from 0 to 1"):
        parse_model(f"sim/arithmetic:{rate}", {})


def test_a_script_needs_its_file() -> None:
    with pytest.raises(ModelConfigError, match=r"answers\.yaml"):
        parse_model("sim/script:", {})


def test_an_alias_carries_endpoint_key_and_price() -> None:
    price = Price(input=1.5, output=6)
    spec = ModelSpec(model="openai/m", base_url="http://127.0.0.1:9/v1", api_key_env="MY_KEY", price=price)
    ref = parse_model("mine", {"mine": spec})
    assert (ref.alias, ref.provider, ref.model) == ("mine", "openai", "m")
    assert (ref.base_url, ref.api_key_env, ref.price) == ("http://127.0.0.1:9/v1", "MY_KEY", price)


def test_an_alias_of_a_simulated_model_is_free_unless_it_has_a_price() -> None:
    price = Price(input=1, output=1)
    aliases = {"a": ModelSpec(model="sim/arithmetic:0.5"), "b": ModelSpec(model="sim/echo", price=price)}
    assert (parse_model("a", aliases).price, parse_model("a", aliases).error_rate) == (FREE, 0.5)
    assert parse_model("b", aliases).price == price


def test_an_alias_does_not_name_another() -> None:
    with pytest.raises(UnknownName):
        parse_model("a", {"a": ModelSpec(model="b"), "b": ModelSpec(model="sim/echo")})


@pytest.mark.parametrize("alias", ["a b", "../x y", "\n", "x" * 129])
def test_bad_aliases(alias: str) -> None:
    with pytest.raises(ModelConfigError, match="cannot name a model"):
        parse_model(alias, {alias: ModelSpec(model="sim/echo")})


@pytest.mark.parametrize("url", ["ftp://x", "x", "http://", "http://me:secret@host", "http://[", ""])
def test_bad_urls(url: str) -> None:
    with pytest.raises(ModelConfigError, match="base_url") as raised:
        parse_model("a", {"a": ModelSpec(model="openai/m", base_url=url)})
    assert "secret" not in str(raised.value)


def test_a_key_in_place_of_its_variable_is_refused_and_not_repeated() -> None:
    with pytest.raises(ModelConfigError, match="environment variable") as raised:
        parse_model("a", {"a": ModelSpec(model="openai/m", api_key_env="sk-1234-secret")})
    assert "sk-1234" not in str(raised.value)


def test_simulated_and_local_models_have_no_endpoint() -> None:
    for model in ("sim/echo", "local/smollm2"):
        with pytest.raises(ModelConfigError, match="neither base_url nor api_key_env"):
            parse_model("a", {"a": ModelSpec(model=model, base_url="http://x/v1")})


def test_every_provider_that_can_be_named_can_be_built() -> None:
    assert set(_PARSERS) == set(get_args(ProviderName)) <= set(PROVIDERS.names())
    assert set(LOCAL_MODELS) == set(WEIGHTS)
