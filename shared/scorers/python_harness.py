"""The program that ``python_tests`` runs in a sandbox. It stands alone: the standard library, and nothing beside it.

Two processes. The tests run in this one; the solution, which is hostile, runs in a fresh interpreter that never sees
the tests, nor the nonce that makes a verdict believed. The tests call it through a pipe, over which only plain values
travel (see ``encode``). So a solution that exits, patches modules or returns objects that equal everything changes
nothing but its own answers.

Two interpreters start for every score, so what only one of them needs, or only failures, is imported there.
"""

from __future__ import annotations

import builtins
import json
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

MAX_LINE = 64 * 1024 * 1024
MAX_ITEMS = 100_000
"""Items read from an iterator that a solution returns."""
MAX_FEEDBACK = 2_000
_PR_SET_DUMPABLE = 4
_sources: dict[str, str] = {}
"""File name -> text of the code that was compiled here, for tracebacks."""


class CannotTravel(Exception):
    """A value that is not made of plain values."""


class MissingModule(Exception):
    """The sandbox cannot run the tests."""


class SolutionBroken(Exception):
    """The solution's process died, or answered something that is no answer."""


def encode(value: Any) -> Any:
    """``value`` as JSON: None, bool, int, float, str, bytes, complex, list, tuple, set, frozenset, dict, iterators."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() < 1000 else {"int": hex(value)}
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list):
        return [encode(item) for item in value]
    for kind, name in ((tuple, "tuple"), (set, "set"), (frozenset, "frozenset")):
        if isinstance(value, kind):
            return {name: [encode(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, range):
        return {"range": [value.start, value.stop, value.step]}
    if callable(getattr(value, "tolist", None)):  # NumPy's arrays and scalars
        return encode(value.tolist())
    if isinstance(value, Iterator):
        return {"iterator": [encode(item) for item in islice(value, MAX_ITEMS)]}
    raise CannotTravel(f"a {type(value).__name__}")


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda content: int(content, 16),
    "tuple": lambda content: tuple(map(decode, content)),
    "set": lambda content: set(map(decode, content)),
    "frozenset": lambda content: frozenset(map(decode, content)),
    "dict": lambda content: {decode(key): decode(item) for key, item in content},
    "bytes": bytes.fromhex,
    "complex": lambda content: complex(*content),
    "range": lambda content: range(*content),
    "iterator": lambda content: iter([decode(item) for item in content]),
}


def decode(content: Any) -> Any:
    """What ``encode`` made, as exact builtin types."""
    if isinstance(content, list):
        return [decode(item) for item in content]
    if isinstance(content, dict):
        ((kind, inner),) = content.items()
        return _DECODERS[kind](inner)
    return content


class Solution:
    """The solution's process, seen from the tests."""

    def __init__(self, programs: list[str], entry_point: str) -> None:
        import subprocess

        self.broken: str | None = None
        self.unscorable: str | None = None
        self.calls = 0
        self.last_ending: Callable[[], str] = str
        self.last_call: tuple[str, tuple[Any, ...], dict[str, Any]] | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-X", "utf8", __file__, "--solution"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            answer = self._ask({"programs": programs, "entry_point": entry_point})
            if "loaded" not in answer:
                raise self._break(str(answer.get("trace")))
        except SolutionBroken:
            self.close()
            raise

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the solution's ``name`` returns or raises.

        Lists, dicts and sets among the positional arguments change as the solution changed them.
        """
        if self.broken:
            raise SolutionBroken(self.broken)
        self.calls += 1
        try:
            request = {"call": name, "args": [encode(arg) for arg in args], "kwargs": encode(kwargs)}
        except CannotTravel as error:
            self.unscorable = f"the tests call {name} with {error}, which cannot be passed to another process"
            raise
        self.last_call, self.last_ending = (name, args, kwargs), lambda: "did not answer"
        answer = self._ask(request)
        if "raised" in answer:
            self.last_ending = lambda: f"raised {str(answer['raised'])[:100]}"
            raise _remote_error(answer)
        try:
            value = decode(answer["value"])
            for given, after in zip(args, answer["args"], strict=True):
                _update(given, decode(after))
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            raise self._break("The solution's answer cannot be read.") from error
        self.last_ending = lambda: f"returned {_brief(value)}"
        return value

    def describe_last_call(self) -> str:
        """``Last call: f([1, 2]) returned 4``, or nothing if there was none."""
        if self.last_call is None:
            return ""
        name, args, kwargs = self.last_call
        given = [*map(_brief, args), *(f"{key}={_brief(value)}" for key, value in kwargs.items())]
        return f"Last call: {name}({', '.join(given)})"[:600] + f" {self.last_ending()}"

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline(MAX_LINE))
        except (OSError, ValueError, RecursionError) as error:
            raise self._break(
                "The solution's process ended, or closed its pipe, before the tests were done."
            ) from error
        if not isinstance(answer, dict) or "broken" in answer:
            raise self._break(str(answer["broken"]) if isinstance(answer, dict) else "The solution gave no answer.")
        return answer

    def _break(self, reason: str) -> SolutionBroken:
        self.broken = reason[-MAX_FEEDBACK:]
        return SolutionBroken(self.broken)


def _remote_error(answer: dict[str, Any]) -> Exception:
    """What the solution raised: the same builtin exception, or a RuntimeError that names it."""
    name, message = str(answer["raised"]), str(answer.get("message", ""))
    kind = getattr(builtins, name, None)
    error: Exception = RuntimeError(f"{name}: {message}")
    if isinstance(kind, type) and issubclass(kind, Exception):
        with suppress(TypeError):  # those that take more than a message
            error = kind(message)
    error.add_note(str(answer.get("trace", ""))[-MAX_FEEDBACK:])
    return error


def _update(given: Any, after: Any) -> None:
    """Make ``given`` hold what ``after`` holds."""
    if isinstance(given, list) and isinstance(after, list):
        given[:] = after
    elif isinstance(given, dict | set) and isinstance(after, type(given)):
        given.clear()
        given.update(after)


def _brief(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an int too long to be written
        text = f"a {type(value).__name__}"
    return text if len(text) <= 200 else f"{text[:100]}...{text[-100:]}"


def run_tests(prompt: str, test: str, entry_point: str, solution: Solution) -> None:
    """Run the tests against the solution; returns where all passed, and raises what they raise.

    Names that neither the tests nor the prompt define are looked for in the solution.
    """
    namespace: dict[str, Any] = {"__name__": "tests"}
    _load_helpers(prompt, namespace)
    _sources["<tests>"] = test
    code = compile(test, "<tests>", "exec", dont_inherit=True)
    for name in _names(code) - set(namespace) - set(dir(builtins)) - {"check"}:
        namespace[name] = _proxy(solution, name)
    candidate = namespace[entry_point] = _proxy(solution, entry_point)
    try:
        exec(code, namespace)
        if "check" in namespace:
            namespace["check"](candidate)
    except ModuleNotFoundError as error:
        if getattr(error, "__notes__", None):  # the solution's, see _remote_error
            raise
        raise MissingModule(f"the tests need a module that the sandbox lacks: {error}") from error


def _load_helpers(prompt: str, namespace: dict[str, Any]) -> None:
    """The functions and imports of the prompt, which tests may use. A prompt that is prose has none."""
    for head in (prompt, f"{prompt}\n    pass\n"):
        try:
            exec(compile(head, "<prompt>", "exec", dont_inherit=True), namespace)
            return
        except ModuleNotFoundError as error:
            raise MissingModule(f"the prompt needs a module that the sandbox lacks: {error}") from error
        except (SyntaxError, ValueError):
            continue


def _proxy(solution: Solution, name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return solution.call(name, args, kwargs)

    call.__name__ = name
    return call


def _names(code: types.CodeType) -> set[str]:
    """All names that code refers to, nested functions included."""
    nested = (_names(constant) for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*nested)


def judge(prompt: str, test: str, entry_point: str, programs: list[str]) -> tuple[str, str]:
    """``passed``, ``failed`` or ``unscorable`` (the example's tests cannot be used), and feedback."""
    try:
        compile(test, "<tests>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return "unscorable", f"the tests are not valid Python: {error}"
    solution = None
    try:
        solution = Solution(programs, entry_point)
        run_tests(prompt, test, entry_point, solution)
    except SolutionBroken as error:
        return "failed", str(error)
    except MissingModule as error:
        return "unscorable", str(error)
    except BaseException as error:
        if solution is not None and solution.unscorable:
            return "unscorable", solution.unscorable
        return "failed", _explain(error, solution)
    finally:
        if solution is not None:
            solution.close()
    if solution.unscorable or not solution.calls:
        return "unscorable", solution.unscorable or f"the tests never call {entry_point}"
    return ("failed", solution.broken) if solution.broken else ("passed", "")


def _explain(error: BaseException, solution: Solution | None) -> str:
    """The last lines of the tests' traceback, and the last call they made."""
    last = solution.describe_last_call() if solution else ""
    return f"{_trace(error, '<tests>')[-MAX_FEEDBACK // 2 :]}\n{last}"[-MAX_FEEDBACK:].strip()


def _trace(error: BaseException, filename: str) -> str:
    """The end of a traceback, as far as it concerns the code that was compiled as ``filename``."""
    import linecache
    import traceback

    source = _sources.get(filename, "")
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    lines = [*traceback.format_list(frames[-3:]), *traceback.format_exception_only(error)]
    return "".join(lines).rstrip()[-MAX_FEEDBACK:]


def process_input(input_string: str) -> str:
    """The verdict, for the pieces of a program and its tests.

    Takes JSON with ``nonce``, ``prompt``, ``test``, ``entry_point`` and ``programs``; answers JSON with ``nonce``,
    ``verdict`` and ``feedback``.
    """
    _hide_memory()
    pieces = json.loads(input_string)
    nonce = pieces.pop("nonce")
    verdict, feedback = judge(**pieces)
    return json.dumps({"nonce": nonce, "verdict": verdict, "feedback": feedback})


def _hide_memory() -> None:
    """Keep processes of the same user from reading this one's memory and files through /proc (prctl(2))."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


# From here on: the solution's process.


def serve() -> None:
    """Load the solution, then answer calls until the pipe closes. Nothing the solution prints goes anywhere."""
    import os

    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    start = json.loads(requests.readline())
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    try:
        exec(_first_that_compiles(start["programs"]), module.__dict__)
        _send(answers, {"loaded": True})
    except BaseException as error:
        _send(answers, {"trace": _trace(error, "<solution>")})
        return
    for line in requests:
        _send(answers, _answer(module, json.loads(line)))


def _first_that_compiles(programs: list[str]) -> types.CodeType:
    first_error: BaseException | None = None
    for program in programs:
        try:
            code = compile(program, "<solution>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            first_error = first_error or error
            continue
        _sources["<solution>"] = program
        return code
    raise first_error or ValueError("there is no program in the output")


def _answer(module: types.ModuleType, request: dict[str, Any]) -> dict[str, Any]:
    args, kwargs = decode(request["args"]), decode(request["kwargs"])
    name = request["call"]
    try:
        if name not in module.__dict__:
            raise NameError(f"the solution defines no {name}")
        value = module.__dict__[name](*args, **kwargs)
    except BaseException as error:
        return {"raised": type(error).__name__, "message": str(error), "trace": _trace(error, "<solution>")}
    try:
        return {"value": encode(value), "args": [encode(arg) for arg in args]}
    except CannotTravel as error:
        return {"broken": f"{name} returned {error}, or left one in its arguments; only plain values can be compared."}
    except RecursionError:
        return {"broken": f"{name} returned a value that is nested too deeply."}


def _send(stream: BinaryIO, answer: dict[str, Any]) -> None:
    stream.write(json.dumps(answer).encode() + b"\n")
    stream.flush()


if __name__ == "__main__" and sys.argv[1:] == ["--solution"]:
    serve()
