"""Runs inside a sandbox: calls a scaffold's ``process_input`` once. Standard library only, and little of that.

Usage: ``python3 -I -B -X utf8 runner.py SCAFFOLD_DIRECTORY``

Request, on stdin: a line ``<timeout> <output limit> <length>`` (seconds, bytes, bytes), then that many bytes of input.
Answer, on the stdout the runner was started with: the line ``ready`` before anything of the scaffold's is read, then
one frame: a line ``<kind> <length>``, and that many bytes of text. Kinds: ``ok`` (the text is the output), and
``scaffold_error``, ``timeout``, ``oom``, ``output_limit``, ``invalid_output`` (the text says why).
All text is UTF-8. Whatever the scaffold prints goes to stderr.

Stdin stays open while somebody waits for the answer. When it is closed, whoever asked is gone, and the runner ends.

Exit codes: 0 an output was given, 1 there is none, 124 out of time.

Every millisecond here is paid once per run: what only failures need is imported when they happen.
"""

import _thread
import os
import sys
import time
from types import CodeType, FrameType, TracebackType

TIMED_OUT = 124
ASKING = 100
"""The descriptor that is open while somebody waits; out of the way of those the scaffold opens."""
ERROR_LIMIT = 65_536
"""Bytes of an error's text; the middle of a longer one is left out."""


class Channel:
    """The way the answer takes: the original stdout, which the scaffold does not find under number 1."""

    def __init__(self) -> None:
        self._fd = os.dup(1)
        self._process = os.getpid()
        self._once = _thread.allocate_lock()
        os.dup2(2, 1)

    def write(self, data: bytes) -> None:
        """Write all of ``data``."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def finish(self, kind: str, text: str, exit_code: int) -> None:
        """Send the frame and end the process at once, whatever threads it still has.

        The first thread that comes here sends its frame, any other waits for the end. A forked copy of the process
        that finds its way here ends without a word.
        """
        self._once.acquire()
        if os.getpid() == self._process:
            payload = text.encode("utf-8", "replace")
            self.write(f"{kind} {len(payload)}\n".encode() + payload)
        os._exit(exit_code)


def read_request() -> tuple[float, int, str]:
    """Timeout in seconds, output limit in bytes, and the input; stdin is empty afterwards, and goes on as ASKING."""
    data = bytearray()
    while b"\n" not in data:
        data += _read()
    header, _, body = bytes(data).partition(b"\n")
    timeout, limit, length = header.split()
    parts, missing = [body], int(length) - len(body)
    while missing > 0:
        parts.append(_read())
        missing -= len(parts[-1])
    os.dup2(0, ASKING, inheritable=False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return float(timeout), int(limit), b"".join(parts).decode("utf-8", "surrogatepass")


def _read() -> bytes:
    data = os.read(0, 1 << 20)
    if not data:
        raise EOFError("The request ended before it was whole.")
    return data


def call(directory: str, text: str, limit: int) -> tuple[str, str]:
    """Call the scaffold's ``process_input``; the kind and the text of the answer."""
    sys.path.insert(0, directory)
    try:
        import scaffold  # type: ignore[import-not-found]

        function = getattr(scaffold, "process_input", None)
        if function is None:
            return "scaffold_error", "scaffold.py does not define process_input(input_string)."
        output = function(text)
    except MemoryError as error:
        return "oom", describe(error)
    except BaseException as error:
        return "scaffold_error", describe(error)
    if not isinstance(output, str):
        return "invalid_output", f"process_input returned {type(output).__name__}, not str."
    if len(output.encode("utf-8", "replace")) > limit:
        return "output_limit", f"The output is longer than {limit} bytes."
    return "ok", output


def describe(error: BaseException) -> str:
    """The traceback of ``error`` without this file's own frames."""
    import traceback

    trace: TracebackType | None = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code):
        trace = trace.tb_next
    return shorten("".join(traceback.format_exception(type(error), error, trace)).strip())


def _is_ours(code: CodeType) -> bool:
    return code.co_filename == call.__code__.co_filename or code.co_filename.startswith("<frozen importlib")


def shorten(text: str) -> str:
    """``text`` with its middle left out where it is too long; a traceback's ends say the most."""
    if len(text) * 4 <= ERROR_LIMIT:
        return text
    half = ERROR_LIMIT // 10
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def watch(seconds: float, main_thread: int, channel: Channel) -> None:
    """End the process when its time is up, saying where it was."""
    time.sleep(seconds)
    import traceback

    frame: FrameType | None = sys._current_frames().get(main_thread)
    # The stack holds the runner's own frames first, the scaffold's after them.
    stack = [entry for entry in traceback.extract_stack(frame) if entry.filename != call.__code__.co_filename]
    where = "".join(traceback.format_list(stack)).rstrip()
    channel.finish("timeout", shorten(f"It was still running after {seconds:g} s, at:\n{where}"), TIMED_OUT)


def mind() -> None:
    """End the process when nobody waits for the answer any more."""
    try:
        while os.read(ASKING, 1):
            continue
    except OSError:
        return  # The scaffold closed it: then there are others who end the run.
    os._exit(1)


def main() -> None:
    """One request, one answer."""
    channel = Channel()
    channel.write(b"ready\n")
    timeout, limit, text = read_request()
    printed = (sys.stdout, sys.stderr)
    for stream in printed:
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    directory, sys.argv = sys.argv[1], ["scaffold.py"]
    _thread.start_new_thread(watch, (timeout, _thread.get_ident(), channel))
    _thread.start_new_thread(mind, ())
    kind, answer = call(directory, text, limit)
    for stream in printed:
        try:
            stream.flush()
        except (OSError, ValueError):
            continue  # The scaffold closed it: then nobody waits for the rest of it.
    channel.finish(kind, answer, 0 if kind == "ok" else 1)


if __name__ == "__main__":
    main()
