"""The templates of prompts, the built-in ones and a user's own."""

from pathlib import Path

import pytest

from coordinator.proposers import check_proposer
from coordinator.proposers.llm import LlmOptions
from coordinator.proposers.prompts import LOG_LIMIT, TEXT_LIMIT, common, cut, samples
from coordinator.proposers.templates import NAMES, Templates, builtin_templates
from shared.errors import SpecError
from shared.models.spec import ProposerSpec
from tests.conftest import ROOT
from tests.proposing import task

LLM = ProposerSpec.model_validate({"name": "llm", "model": "sim/echo", "templates": "mine"})


def check(folder: Path, **texts: str) -> dict[str, str]:
    (folder / "mine").mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / "mine" / f"{name}.j2").write_text(text)
    return check_proposer(LLM, [], folder)


def refusal(folder: Path, **texts: str) -> str:
    with pytest.raises(SpecError) as refused:
        check(folder, **texts)
    return str(refused.value)


def test_the_builtin_templates_render_and_leave_nothing_out() -> None:
    templates = Templates(builtin_templates())
    templates.check(samples())
    for name, context in samples().items():
        prompt = templates.render(name, context)
        assert "{{" not in prompt and "{%" not in prompt and "None" not in prompt
    assert set(samples()) == set(NAMES)


def test_they_say_what_a_scaffold_really_finds() -> None:
    prompt = Templates(builtin_templates()).render("system.j2", common(task(), 3, False))
    for words in ("Python 3.11.2", "numpy 2.1.0", "45 seconds", "512 MB", "1.5 processor", "1 MB", "7 times"):
        assert words in prompt
    assert 'execute_llm(prompt, system_prompt="")' in prompt
    assert "process_input(input_string: str) -> str" in prompt


def test_without_packages_and_bounds_they_say_so() -> None:
    plain = task()
    found = plain.surroundings.model_copy(update={"packages": (), "max_calls": None})
    prompt = Templates(builtin_templates()).render(
        "system.j2", common(plain.model_copy(update={"surroundings": found}), 3, False)
    )
    assert "Nothing is installed beside the standard library." in prompt
    assert "times at most" not in prompt


def test_ones_own_take_the_place_of_the_builtin_ones_and_are_kept(tmp_path: Path) -> None:
    kept = check(tmp_path, first="{% include 'mine.j2' %} {{ task }}", mine="{{ idea }}")
    assert kept["first.j2"] == "{% include 'mine.j2' %} {{ task }}"
    assert kept["mine.j2"] == "{{ idea }}"
    assert set(kept) == {*builtin_templates(), "mine.j2"}


def test_an_unknown_variable_is_named_with_its_line_and_those_there_are(tmp_path: Path) -> None:
    assert refusal(tmp_path, first="Hello\n{{ taks }}") == (
        "The template first.j2, line 2: there is no variable 'taks'; did you mean 'task'? Known: count, cpus, "
        "examples, idea, max_calls, memory, number, output_limit, packages, python, scorer, scorer_source, task, "
        "timeout."
    )


def test_an_unknown_variable_in_what_is_not_reached(tmp_path: Path) -> None:
    assert "line 2: there is no variable 'nothing'" in refusal(
        tmp_path, first="{% if false %}\n{{ nothing }}{% endif %}"
    )


def test_a_variable_of_another_template(tmp_path: Path) -> None:
    assert "The template ideas.j2, line 1: there is no variable 'idea'" in refusal(tmp_path, ideas="{{ idea }}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n{% for example in examples %}{{ example.inptu }}{% endfor %}", "first.j2, line 2: 'dict object' has no"),
        ("{{ 1 / 0 }}", "line 1: ZeroDivisionError"),
        ("{{ task.missing() }}", "line 1: 'str object' has no attribute 'missing'"),
        ("{{ ''.__class__.__mro__ }}", "line 1: access to attribute '__class__'"),
        ("x\n{% if %}", "The template first.j2, line 2: "),
        ("{{ task | no_such }}", "line 1: No filter named 'no_such'"),
        ("{% include 'none.j2' %}", "includes 'none.j2', which is not there"),
        ("{% include 'first.j2' %}", "RecursionError"),
    ],
)
def test_what_else_a_template_can_get_wrong(tmp_path: Path, text: str, words: str) -> None:
    said = refusal(tmp_path, first=text)
    assert words in said
    assert "Traceback" not in said


def test_a_mistake_in_what_is_included(tmp_path: Path) -> None:
    assert "The template mine.j2, line 2: 'nope' is undefined" in refusal(
        tmp_path, first="{% include 'mine.j2' %}", mine="\n{{ nope }}"
    )


def test_a_template_that_nothing_uses_is_a_slip(tmp_path: Path) -> None:
    assert "no template includes 'evlove.j2'; did you mean 'evolve.j2'" in refusal(tmp_path, evlove="x")


def test_a_template_that_nothing_uses_and_that_is_none(tmp_path: Path) -> None:
    assert "The template evlove.j2, line 1: " in refusal(tmp_path, evlove="{% if %}")


def test_a_folder_without_templates(tmp_path: Path) -> None:
    assert "there is no template in" in refusal(tmp_path)


def test_data_is_text_and_never_a_template() -> None:
    nasty = "{{ 7 * 7 }} {% raw %} {# x #} \ud800 ```"
    context = {**samples()["first.j2"], "task": cut(nasty)}
    assert nasty.replace("\ud800", "?") in Templates(builtin_templates()).render("first.j2", context)


def test_long_values_lose_their_middle() -> None:
    text = "a" * 5_000 + "b" * 5_000
    assert cut(text) == "a" * 1000 + "\n... 8000 characters left out ...\n" + "b" * 1000
    assert cut("x" * TEXT_LIMIT) == "x" * TEXT_LIMIT
    assert len(cut("x" * 10**6, LOG_LIMIT)) < LOG_LIMIT + 100


def test_the_manual_names_every_variable_and_option() -> None:
    manual = (ROOT / "docs" / "proposers.md").read_text()
    names = {name for context in samples().values() for name in context} | set(samples()) | set(LlmOptions.model_fields)
    names |= set(samples()["evolve.j2"]["runs"][0])
    assert {name for name in names if f"`{name}" not in manual} == set()
