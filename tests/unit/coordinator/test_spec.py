"""Specs: what loads, what is refused and in which words, overrides, checking, dumping and comparing."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.spec import LoadedSpec, check_spec, dump_spec, load_spec, scored_fields, scorer_source, spec_difference
from shared.errors import ModelConfigError, SpecError, UnknownName, UsageError
from shared.models.example import Example
from shared.models.spec import DataSpec, ExperimentSpec, SeedSplit

GOOD = """\
name: sums
data:
  valid: {path: sums.jsonl, input: question}
scorer: {name: numeric, field: answer}
scaffolds:
  - scaffolds/direct
  - scaffolds/vote
executor: {model: sim/echo, memory: 64m}
"""
EXAMPLES = {"valid": [Example(id="1", input="1 + 1", fields={"answer": 2})]}


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes = GOOD, name: str = "experiment.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def refusal(path: Path, overrides: list[str] | None = None) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(path, overrides or [])
    sentence = str(caught.value)
    assert "pydantic" not in sentence and "http" not in sentence and "Traceback" not in sentence
    return sentence


def test_a_spec_loads_with_its_defaults(write):
    path = write()
    loaded = load_spec(path)
    assert (loaded.folder, loaded.file_name) == (path.parent, "experiment.yaml")
    spec = loaded.spec
    assert spec.name == "sums"
    assert isinstance(spec.data, DataSpec) and spec.data.valid is not None
    assert spec.data.valid.input == "question"
    assert spec.scorer.options == {"field": "answer"}
    assert spec.scaffolds == ("scaffolds/direct", "scaffolds/vote")
    assert spec.executor.memory == 64 * 1024**2
    assert (spec.executor.timeout, spec.loop.iterations, spec.sandbox) == (120, 1, "docker")


def test_data_may_be_one_file_divided_by_seed(write):
    text = GOOD.replace(
        "  valid: {path: sums.jsonl, input: question}", "  {path: a.jsonl, split: {train: 0.5, valid: 0.5}}"
    )
    data = load_spec(write(text)).spec.data
    assert isinstance(data, SeedSplit)
    assert data.split == {"train": 0.5, "valid": 0.5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not a text file"),
        (b"name: \xff\xfe\n", "not a text file"),
        ("- a\n- b\n", "holds no mapping"),
        ("just words\n", "holds no mapping"),
        ("name: a\nname: b\n", "line 2: a field is written twice"),
        ("name: a\ndata: [1\n", "not valid YAML"),
        ("name: a\n\tb: 1\n", "line 2: this is not valid YAML"),
        ("name: !!python/object:os.system x\n", "line 1: this is not valid YAML"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("a: &x [*x]\n", "contains itself"),
        ("a: " + "[" * 1200, "YAML"),
        ("a: " + "x" * 1024**2, "larger than 1 MB"),
    ],
)
def test_what_is_no_spec_at_all(write, text, expected):
    path = write(text)
    sentence = refusal(path)
    assert expected in sentence or "nested too deeply" in sentence
    assert str(path) in sentence


def test_a_missing_spec(tmp_path):
    assert refusal(tmp_path / "no.yaml") == f"There is no spec {tmp_path / 'no.yaml'}; give the path of a YAML file."


def test_a_directory_names_the_spec_in_it(write, tmp_path):
    path = write()
    assert str(path) in refusal(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("scorer:", "scorers:", "line 4: unknown field 'scorers' at the top level; did you mean 'scorer'?"),
        ("valid:", "vaild:", "line 3: unknown field 'vaild' in data; did you mean 'valid'?"),
        ("input:", "inptu:", "line 3: unknown field 'inptu' in data.valid; did you mean 'input'?"),
        ("memory:", "memroy:", "line 8: unknown field 'memroy' in executor; did you mean 'memory'?"),
        ("name: sums", "task: x", "name is missing"),
        ("path: sums.jsonl, ", "", "line 3: data.valid.path is missing"),
        ("name: sums", "name: 2024", "line 1: name must be text (put it in quotes), not the number 2024"),
        ("name: sums", "name: ../sums", "line 1: name: '../sums' cannot name an experiment"),
        ("memory: 64m", "memory: lots", "executor.memory: 'lots' is not a size"),
        ("memory: 64m", "memory: 1k", "executor.memory must be at least 16777216, not the number 1024"),
        ("memory: 64m", "timeout: '60'", "executor.timeout must be a number, not the text '60'"),
        ("memory: 64m", "timeout: 0", "executor.timeout must be more than 0, not the number 0"),
        ("memory: 64m", "timeout: .inf", "executor.timeout must be at most 86400"),
        ("memory: 64m", "timeout: .nan", "executor.timeout must be"),
        ("memory: 64m", "cpus: true", "executor.cpus must be a number, not the value true"),
        ("memory: 64m", "max_calls: 1.5", "executor.max_calls must be a whole number, not the number 1.5"),
        ("input: question", "limit: 0", "data.valid.limit must be at least 1"),
        ("input: question", "offset: -1", "data.valid.offset must be at least 0"),
        ("{name: numeric, field: answer}", "numeric", "scorer must be a mapping ('name: value' lines), not the text"),
        ("{name: numeric, field: answer}", "", "line 4: scorer must be a mapping ('name: value' lines), not nothing"),
        ("{name: numeric, field: answer}", "{field: answer}", "scorer.name is missing"),
        ("valid: {path: sums.jsonl, input: question}", "valid:", "data: needs at least one of train, valid and test"),
        ("valid: {path: sums.jsonl, input: question}", "{path: a, split: {trian: 1}}", "must be 'train', 'valid' or"),
        ("valid: {path: sums.jsonl, input: question}", "{path: a, split: {train: 0.9, valid: 0.2}}", "add up to 1"),
        ("valid: {path: sums.jsonl, input: question}", "{path: a, split: {train: .nan}}", "between 0 and 1"),
        ("field: answer", "tolerance: .nan", "JSON has no way to write"),
        ("field: answer", "note: !!binary /w==", "JSON has no way to write"),
        ("field: answer", 'note: "\\ud800"', "surrogate pair"),
        ("executor: {", "loop: {iterations: 0}\nexecutor: {", "loop.iterations must be at least 1"),
        (
            "executor: {",
            "models: {x: {modl: a}}\nexecutor: {",
            "unknown field 'modl' in models.x; did you mean 'model'?",
        ),
        ("executor: {", "1: 2\nexecutor: {", "line 8: 1 is not text"),
        ("name: sums", "name: " + "x" * 5000, "line 1: name"),
    ],
)
def test_a_field_that_is_wrong(write, old, new, expected):
    assert old in GOOD
    path = write(GOOD.replace(old, new, 1))
    sentence = refusal(path)
    assert expected in sentence
    assert str(path) in sentence
    assert "\n" not in sentence


def test_scaffolds_must_be_a_list_with_entries(write):
    start = GOOD.partition("scaffolds:")[0]
    assert "scaffolds must be a list" in refusal(write(start + "scaffolds: scaffolds/direct\n"))
    for nothing in ("scaffolds: []\n", ""):
        sentence = refusal(write(start + nothing))
        assert sentence.endswith(", the top level: give scaffolds (a list of folders), or a proposer that writes them.")
    assert "scaffolds.1 must be text" in refusal(write(start + "scaffolds: [a, 5]\n"))


def test_several_problems_are_listed_at_once_by_line(write):
    path = write("name: 5\ndata: {valid: {path: a}}\nscorer: {name: exact}\nscaffolds: [a]\nloop: {sede: 1}\n")
    assert refusal(path).splitlines() == [
        f"{path} has 2 problems:",
        "  line 1: name must be text (put it in quotes), not the number 5.",
        "  line 5: unknown field 'sede' in loop; did you mean 'seed'? "
        "Known: children, initial, iterations, model_seed, proposing_seed, repeats, resample_validation, "
        "sampling_seed, seed, top_k, train_per_scaffold, valid_examples.",
    ]


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("executor.timeout=60", "executor.timeout", 60.0),
        ("executor.memory=1g", "executor.memory", 1024**3),
        ("loop.seed=7", "loop.seed", 7),
        ("scaffolds.0=elsewhere", "scaffolds.0", "elsewhere"),
        ("scaffolds=[a, b, c]", "scaffolds.2", "c"),
        ("data.valid.limit=null", "data.valid.limit", None),
        ("data.train={path: t.jsonl}", "data.train.path", "t.jsonl"),
        ("data.test.path=/elsewhere/t.jsonl", "data.test.path", "/elsewhere/t.jsonl"),
        ("task=Solve: a riddle", "task", "Solve: a riddle"),
        ("task=- not a list", "task", "- not a list"),
        ("task=a=b", "task", "a=b"),
        ("task='5'", "task", "5"),
        ('task=""', "task", ""),
        ("scorer.tolerance=0.1", "scorer.tolerance", 0.1),
        ("models.mine.model=openai/x", "models.mine.model", "openai/x"),
    ],
)
def test_an_override(write, override, field, value):
    found: Any = json.loads(load_spec(write(), [override]).spec.model_dump_json())
    for part in field.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]
    assert found == value


def test_the_last_of_two_overrides_wins(write):
    assert load_spec(write(), ["loop.seed=1", "loop.seed=2"]).spec.loop.seed == 2


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("executor.timeout", 'has no "="; write it as --set executor.timeout=VALUE'),
        ("", 'has no "="'),
        ("=5", "names no field"),
        ("executor..timeout=5", "names no field"),
        (
            "executor.timeuot=5",
            "--set executor.timeuot=5: unknown field 'timeuot' in executor; did you mean 'timeout'?",
        ),
        ("lop.seed=5", "--set lop.seed=5: unknown field 'lop' at the top level; did you mean 'loop'?"),
        ("data.test.limit=5", "--set data.test.limit=5: data.test.path is missing"),
        (
            "executor.timeout=soon",
            "--set executor.timeout=soon: executor.timeout must be a number, not the text 'soon'",
        ),
        ("name.x=1", "name is a single value"),
        ("scaffolds.2=x", "scaffolds has 2 entries, counted from 0; '2' is none of them"),
        ("scaffolds.-1=x", "'-1' is none of them"),
        ("scaffolds.first=x", "'first' is none of them"),
        ("scaffolds=[a", "not a valid YAML value"),
        ("scorer=numeric", "--set scorer=numeric: scorer must be a mapping"),
    ],
)
def test_an_override_that_cannot_be(write, override, expected):
    assert expected in refusal(write(), [override])


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
def test_any_text_can_be_set_in_quotes(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "quoted.yaml"
    path.write_text(GOOD)
    assert load_spec(path, [f"task={json.dumps(text, ensure_ascii=False)}"]).spec.task == text


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_an_override_is_applied_or_refused_in_a_sentence(tmp_path_factory, name, value):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(GOOD)
    try:
        load_spec(path, [f"{name}={value}"])
    except UsageError as error:
        assert "--set" in str(error)


texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=30)
specs = st.builds(
    ExperimentSpec,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    task=texts,
    data=st.fixed_dictionaries({"valid": st.fixed_dictionaries({"path": st.text("a/~é:#'\" ", max_size=9)})}),
    scorer=st.fixed_dictionaries({"name": st.just("exact"), "field": texts}),
    scaffolds=st.lists(texts, min_size=1, max_size=3),
    executor=st.fixed_dictionaries({"timeout": st.floats(0.001, 86_400), "temperature": st.none() | st.floats(0, 2)}),
    loop=st.fixed_dictionaries({"seed": st.integers()}),
)


@settings(max_examples=40, deadline=None)
@given(specs)
def test_a_dumped_spec_reads_back_as_itself(tmp_path_factory, spec):
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_bytes(dump_spec(spec).encode())
    loaded = load_spec(path).spec
    assert loaded == spec
    assert spec_difference(spec, loaded) == []


def test_a_dumped_spec_shows_every_default(write):
    text = dump_spec(load_spec(write()).spec)
    assert "timeout: 120.0\n" in text and "valid_examples: null\n" in text and "- scaffolds/vote\n" in text


def test_the_difference_of_two_specs(write):
    old = load_spec(write()).spec
    new = load_spec(write(), ["executor.timeout=60", "scaffolds=[scaffolds/direct]", "scorer.tolerance=1"]).spec
    assert spec_difference(old, new) == [
        'scaffolds.1: "scaffolds/vote" -> (not there)',
        "executor.timeout: 120 -> 60",
        "scorer.tolerance: (not there) -> 1",
    ]
    assert spec_difference(old, old) == []


def checked(write, *overrides: str, examples: dict[str, list[Example]] | None = None) -> None:
    check_spec(load_spec(write(), overrides), examples or EXAMPLES)


def test_a_spec_whose_names_exist_passes(write):
    checked(write)
    checked(write, "executor.model=mine", "models.mine.model=sim/echo", "sandbox=process")


@pytest.mark.parametrize(
    ("override", "error", "expected"),
    [
        ("sandbox=dokcer", UnknownName, "There is no sandbox named 'dokcer'; did you mean 'docker'?"),
        ("scorer.name=numerc", UnknownName, "did you mean 'numeric'?"),
        ("scorer.feild=x", SpecError, "feild"),
        ("scorer.field=anser", SpecError, "did you mean 'answer'?"),
        ("executor.model=sim/eco", UnknownName, "did you mean 'sim/echo'?"),
        ("executor.model=sim/arithmetic:2", ModelConfigError, "error rate"),
        ("models.mine.model=nothing", UnknownName, "There is no model named 'nothing'"),
        ("scorer={name: 'nowhere_at_all:score'}", SpecError, "nowhere_at_all"),
    ],
)
def test_names_that_do_not_exist(write, override, error, expected):
    with pytest.raises(error) as caught:
        checked(write, override)
    assert expected in str(caught.value)


def test_fields_are_those_that_every_example_has(write):
    spec = load_spec(write()).spec
    examples = {
        "train": [Example(id="1", input="a", fields={"answer": 1, "note": 2})],
        "valid": [Example(id="1", input="a", fields={"answer": 1, "level": 2})],
    }
    assert scored_fields(spec, examples) == {"answer", "question"}


def test_a_scorer_beside_the_spec_is_found(write):
    path = write(GOOD.replace("{name: numeric, field: answer}", "{name: 'mine:score'}"))
    loaded = load_spec(path)
    assert scorer_source(loaded) is None
    source = "def score(output, example):\n    return 1.0\n"
    (path.parent / "mine.py").write_text(source)
    assert scorer_source(loaded) == ("mine", source)
    check_spec(loaded, EXAMPLES)


def test_a_scorer_that_is_no_text_is_refused(write):
    path = write(GOOD.replace("{name: numeric, field: answer}", "{name: 'mine:score'}"))
    (path.parent / "mine.py").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match=r"mine\.py cannot be read"):
        scorer_source(load_spec(path))


def test_a_loaded_spec_cannot_be_changed(write):
    loaded = load_spec(write())
    assert isinstance(loaded, LoadedSpec)
    with pytest.raises(AttributeError):
        loaded.folder = Path("/")  # type: ignore[misc]
