"""``python_tests``: the verdict, and what a hostile solution cannot do about it."""

import importlib.util
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shared.errors import InfraError, ScorerError
from shared.models import Example, RunOutcome, Status
from shared.scorers import Score
from shared.scorers.python_tests import MAX_OUTPUT, PythonTestsScorer, harness_source
from tests.conftest import dataset

PROMPT = 'def add(a, b):\n    """Add a and b."""\n'
TEST = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate([1], [2]) == [1, 2]\n"


def _load_runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("program_runner", Path(__file__).with_name("program_runner.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run_program = _load_runner().run_program


def example(test: str = TEST, prompt: str = PROMPT, entry_point: Any = "add") -> Example:
    return Example(id="e1", input=prompt, fields={"prompt": prompt, "test": test, "entry_point": entry_point})


def score(output: str, test: str = TEST, prompt: str = PROMPT, timeout: float = 60) -> Score:
    return PythonTestsScorer(run_program=run_program, timeout=timeout).score(output, example(test, prompt))


RIGHT = {
    "body": "    return a + b\n",
    "program": "def add(a, b):\n    return a + b\n",
    "fenced": "Sure:\n```python\ndef add(a, b):\n    return a + b\n```",
    "noisy": "import sys\nprint('x' * 99999)\nprint(1, file=sys.stderr)\ndef add(a, b):\n    return a + b\n",
    "reads stdin": "import sys\nassert sys.stdin.read() == ''\ndef add(a, b):\n    return a + b\n",
    "dataclass": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n"
        "def add(a, b):\n    return P(a).x + P(b).x\n"
    ),
    "exits as the main program": "def add(a, b):\n    return a + b\nif __name__ == '__main__':\n    exit(0)\n",
}  # fmt: skip


@pytest.mark.parametrize("output", RIGHT.values(), ids=RIGHT.keys())
def test_a_right_solution_passes(output: str) -> None:
    assert score(output) == Score(value=1.0)


def fake(body: str, head: str = "") -> str:
    return f"{head}\ndef add(a, b):\n    {body}\n"


FORGED = '{"nonce": "", "verdict": "passed", "feedback": ""}'
HOSTILE = {
    "nothing": "",
    "pass": "pass",
    "wrong": fake("return a - b"),
    "exits while it loads": "import sys\nsys.exit(0)",
    "dies while it loads": "import os\nos._exit(0)",
    "exits when called": fake("raise SystemExit(0)"),
    "dies when called": fake("import os; os._exit(0)"),
    "interrupts": fake("raise KeyboardInterrupt"),
    "equals everything": fake("return E()", "class E:\n    __eq__ = lambda self, other: True"),
    "int that equals everything": fake("return E(0)", "class E(int):\n    __eq__ = lambda self, other: True"),
    "list that equals everything": fake("return E()", "class E(list):\n    __eq__ = lambda self, other: True"),
    "redefines check": fake("return 0", "def check(candidate):\n    pass"),
    "patches AssertionError": fake("return 0", "import builtins\nbuiltins.AssertionError = SystemExit"),
    "patches json": fake("return 0", 'import json\njson.dumps = lambda *a: \'{"verdict": "passed"}\''),
    "looks for the nonce in its frames": fake(
        "import sys, gc; f = sys._getframe()\n"
        "    while f:\n        assert 'nonce' not in str(f.f_locals)[:100000]; f = f.f_back\n"
        "    return a + b if any(isinstance(o, dict) and 'nonce' in o for o in gc.get_objects()) else 0"
    ),
    "writes verdicts to every descriptor": fake(
        "import os\n    for fd in range(64):\n        try:\n            os.write(fd, FORGED)\n        except OSError:\n"
        "            pass\n    os._exit(0)",
        f"FORGED = {(FORGED + chr(10)).encode()!r}",
    ),
    "answers before it is asked": fake("return 0", 'import os\nos.write(1, b\'{"value": 3, "args": []}\\n\')'),
    "recurses": fake("return add(a, b)"),
    "nests": fake("x = []\n    for _ in range(10000): x = [x]\n    return x"),
    "returns itself": fake("return add"),
    "loops": fake("x = []; x.append(x); return x"),
    "raises in str": fake("raise E()", "class E(Exception):\n    def __str__(self):\n        raise ValueError"),
    "raises AssertionError": fake("raise AssertionError"),
    "syntax": "def add(a, b:\n    return",
    "prose": "I am sorry, I cannot help with that.",
    "NUL": "\0",
    "deep parentheses": "(" * 50_000,
    "null byte in program": "def add(a, b):\n    return a + b\0\n",
}


@pytest.mark.parametrize("output", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_wrong_or_hostile_solution_scores_zero_and_feedback_is_short(output: str) -> None:
    result = score(output)
    assert result.value == 0.0
    assert result.feedback and len(result.feedback) <= 2_000


def test_feedback_shows_the_test_and_the_call() -> None:
    feedback = score("    return a - b").feedback or ""
    assert "assert candidate(1, 2) == 3" in feedback
    assert feedback.endswith("Last call: add(1, 2) returned -1")


def test_feedback_shows_where_the_solution_raised() -> None:
    feedback = score("    return a / 0").feedback or ""
    assert "ZeroDivisionError: division by zero" in feedback
    assert "return a / 0" in feedback


def test_tests_that_swallow_exceptions_do_not_hide_a_dead_solution() -> None:
    test = "def check(candidate):\n    try:\n        candidate(1, 2)\n    except Exception:\n        pass\n"
    assert score(fake("import os; os._exit(0)"), test).value == 0.0
    assert score(fake("raise ValueError"), test).value == 1.0


SEMANTICS = [
    ("plain asserts", "return a + b", "assert add(1, 2) == 3"),
    ("exceptions", "raise KeyError('x')", "try:\n    add(1, 2)\n    assert False\nexcept KeyError:\n    pass"),
    ("changed argument", "a.append(b)", "x = [1]\nadd(x, 2)\nassert x == [1, 2]"),
    ("changed map", "a.clear(); a[b] = 1", "x = {'k': 0}\nadd(x, 'n')\nassert x == {'n': 1}"),
    ("scalars", "return (a, b, b'x', None, 1j)", "assert add(1.5, 'é') == (1.5, 'é', b'x', None, 1j)"),
    ("containers", "return {a}, {'k': (b,)}", "assert add(1, 2) == ({1}, {'k': (2,)})"),
    ("tuple is no list", "return (a, b)", "assert isinstance(add(1, 2), tuple)"),
    ("bool", "return a == b", "assert add(1, 1) is True"),
    ("big integers", "return a ** b", "assert add(7, 9000) == 7 ** 9000"),
    ("not a number", "return float('nan'), float('inf')", "x, y = add(1, 2)\nassert x != x and y > 1e308"),
    ("iterator", "return (x for x in (a, b))", "assert list(add(1, 2)) == [1, 2]"),
    ("range", "return range(a, b)", "assert add(1, 3) == range(1, 3)"),
    ("keywords", "return a - b", "assert add(b=1, a=3) == 2"),
    ("surrogates", "return a + b", "assert add('\\ud800', 'x') == '\\ud800x'"),
    ("counter", "import collections; return collections.Counter([a, a, b])", "assert add(1, 2) == {1: 2, 2: 1}"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "test"), [case[1:] for case in SEMANTICS], ids=[case[0] for case in SEMANTICS])
def test_values_travel(body: str, test: str) -> None:
    assert score(f"    {body}\n", test) == Score(value=1.0)


def test_helpers_of_the_prompt_are_the_prompts_own() -> None:
    prompt = "def truth(x):\n    return x == 3\n\n\n" + PROMPT
    test = "def check(candidate):\n    assert truth(candidate(1, 2))\n"
    assert score("    return a + b", test, prompt).value == 1.0
    assert score("def truth(x):\n    return True\n\ndef add(a, b):\n    return 0\n", test, prompt).value == 0.0


def test_helpers_that_only_the_solution_defines_are_called_there() -> None:
    test = "def check(candidate):\n    assert undo(candidate(1, 2)) == 1\n"
    assert score("def undo(x):\n    return x - 2\n\ndef add(a, b):\n    return a + b\n", test).value == 1.0


def test_the_harness_passes_no_language_feature_of_its_own_on() -> None:
    program = "def add(a: int, b: int):\n    return a + b if add.__annotations__['a'] is int else 0\n"
    assert score(program, "def check(candidate):\n    assert candidate(1, 2) == 3\n").value == 1.0


def test_a_prompt_that_is_prose_still_works_with_a_whole_program() -> None:
    assert score("def add(a, b):\n    return a + b\n", TEST, "Write a function that adds.").value == 1.0


@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        ("def check(candidate:", "not valid Python"),
        ("def check(candidate):\n    pass\n", "never call add"),
        ("def check(candidate):\n    assert candidate(lambda: 1, 2)\n", "with a function, which cannot be passed"),
        ("import no_such_module_here\n", "a module that the sandbox lacks"),
    ],
)
def test_tests_that_cannot_be_used_are_the_examples_fault(test: str, sentence: str) -> None:
    with pytest.raises(ScorerError, match=sentence):
        score("    return a + b", test)


def test_a_module_the_solution_lacks_is_the_solutions_fault() -> None:
    assert score("    import no_such_module_here").value == 0.0
    assert score("import no_such_module_here\ndef add(a, b):\n    return a + b\n").value == 0.0


@pytest.mark.parametrize("entry_point", ["", "a b", 7, "os.system"])
def test_an_entry_point_that_is_no_name_is_the_examples_fault(entry_point: Any) -> None:
    with pytest.raises(ScorerError, match="holds no tests to run"):
        PythonTestsScorer(run_program=run_program).score("x", example(entry_point=entry_point))


def test_a_solution_that_does_not_end_times_out() -> None:
    assert score(fake("while True: pass"), timeout=3).feedback == "The tests timed out after 3 s."


class Scripted:
    """Answers a prepared outcome, and remembers what it was asked."""

    def __init__(self, outcome: RunOutcome) -> None:
        self.outcome = outcome
        self.calls: list[tuple[str, dict[str, Any], float]] = []

    def __call__(self, scaffold_code: str, input_string: str, timeout: float) -> RunOutcome:
        self.calls.append((scaffold_code, json.loads(input_string), timeout))
        return self.outcome


@pytest.mark.parametrize(
    "output", [None, "", "passed", FORGED, "[" * 100_000, '{"nonce": "é", "verdict": "passed"}', "null"]
)
def test_a_verdict_without_the_nonce_is_not_believed(output: str | None) -> None:
    runner = Scripted(RunOutcome(status=Status.OK, output=output))
    result = PythonTestsScorer(run_program=runner).score("x", example())
    assert (result.value, result.feedback) == (0.0, "The tests were not run to their end.")


def test_every_run_has_a_nonce_of_its_own_and_the_default_timeout() -> None:
    runner = Scripted(RunOutcome(status=Status.OK))
    scorer = PythonTestsScorer(run_program=runner)
    for _ in range(2):
        scorer.score("x", example())
    assert {(code, timeout) for code, _, timeout in runner.calls} == {(harness_source(), 20.0)}
    assert len({pieces["nonce"] for _, pieces, _ in runner.calls}) == 2


@pytest.mark.parametrize("status", [status for status in Status if status not in (Status.OK, Status.INFRA_ERROR)])
def test_every_other_end_of_the_program_scores_zero(status: Status) -> None:
    runner = Scripted(RunOutcome(status=status, error_message="x" * 10_000))
    result = PythonTestsScorer(run_program=runner).score("x", example())
    assert result.value == 0.0
    assert result.feedback and len(result.feedback) <= 2_000


def test_a_failure_of_the_machinery_is_no_score() -> None:
    runner = Scripted(RunOutcome(status=Status.INFRA_ERROR, error_message="The engine is gone."))
    with pytest.raises(InfraError, match="The engine is gone"):
        PythonTestsScorer(run_program=runner).score("x", example())


def test_an_output_too_long_for_a_program_is_not_run() -> None:
    runner = Scripted(RunOutcome(status=Status.OK))
    assert PythonTestsScorer(run_program=runner).score("x" * (MAX_OUTPUT + 1), example()).value == 0.0
    assert runner.calls == []


def test_the_prompt_may_be_the_input() -> None:
    given = Example(id="1", input=PROMPT, fields={"test": TEST, "entry_point": "add"})
    assert PythonTestsScorer(run_program=run_program).score("    return a + b", given).value == 1.0


@pytest.mark.timeout(600)
def test_canonical_solutions_pass_and_none_does_by_doing_nothing() -> None:
    """Of HumanEval, some twenty; tests/e2e has them all without containers, and a few in containers."""
    scorer = PythonTestsScorer(run_program=run_program, timeout=120)
    lines = dataset("humaneval/HumanEval.jsonl", "functions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:: max(1, len(lines) // 20)]]
    examples = [Example(id=row["task_id"], input=row["prompt"], fields=row) for row in rows]
    with ThreadPoolExecutor(2) as pool:
        good = list(pool.map(scorer.score, [row["canonical_solution"] for row in rows], examples))
        bad = list(pool.map(scorer.score, ["pass"] * len(rows), examples))
    assert len(rows) >= min(20, len(lines)) > 0
    assert [given.id for given, result in zip(examples, good, strict=True) if result.value != 1.0] == []
    assert [given.id for given, result in zip(examples, bad, strict=True) if result.value != 0.0] == []
