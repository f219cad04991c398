"""Arguments that a model wrote, and what a tool answered, held to the tool's own schemas.

JSON Schema 2020-12 in full (2019-09 and draft-07 where `$schema` says so), by jsonschema's
keywords. Nothing is fetched, and a check ends within its time whatever the schema and the
arguments are: steps are counted and patterns interrupted, both against the CPU time of the
thread that checks, so a busy machine does not fail a harmless call.

`format` is held to where it is listed in `formats`. 1.0 is an integer, true is no number.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from itertools import islice
from typing import Any

from .evaluation import Evaluation, Program
from .exceptions import InvalidArguments, SchemaError, UncheckableArguments
from .patterns import MAX_SUBJECT, Clock, TooLong, TooSlow
from .problems import sentence
from .schemas import ENCODE, NUL, canonical_bytes, examine
from .strict_json import nested_deeper

MAX_ARGUMENTS = 1_000_000
MAX_DEPTH = 64
MAX_PROBLEMS = 8
TIME_LIMIT = 0.25

# Bytes of schema text behind the programs that are kept; the objects take about ten times that.
_CACHE_BYTES = 8_000_000


class _Programs:
    """The schemas used last, ready to run, bounded by the size of their text. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._lock = threading.Lock()
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[Hashable, tuple[Program, int]] = OrderedDict()

    def get(
        self, schema: Mapping[str, Any], key: Hashable | None, *, of_arguments: bool
    ) -> Program:
        data = b""
        if key is None:
            data = canonical_bytes(schema)
            key = hashlib.blake2b(data, digest_size=16).digest()
        key = of_arguments, key
        with self._lock:
            if kept := self._kept.get(key):
                self._kept.move_to_end(key)
                return kept[0]
        data = data or canonical_bytes(schema)
        # Its own copy: the caller may change what it passed.
        own = json.loads(data)
        program = Program(own, examine(own, of_arguments=of_arguments))
        with self._lock:
            if key not in self._kept:
                self._kept[key] = (program, len(data))
                self._bytes += len(data)
            while self._bytes > self._max_bytes:
                _key, (_program, size) = self._kept.popitem(last=False)
                self._bytes -= size
        return program


_programs = _Programs(_CACHE_BYTES)


def validate_arguments(
    schema: Mapping[str, Any],
    arguments: Any,
    *,
    key: Hashable | None = None,
    time_limit: float = TIME_LIMIT,
) -> None:
    """Return if the arguments, as `json.loads` gave them, fit the schema.

    `key` may stand for the schema's content, such as a tool's id and version; a schema that was
    seen under it is not read again. `time_limit` is in seconds of CPU time.

    Raises:
        InvalidArguments: they do not fit; `problems` are sentences for the model, at most 8.
        UncheckableArguments: one of these, where they are too large to be known to fit or not.
        SchemaError: the schema is broken, or the check could not be ended within its limits.
    """
    if type(arguments) is not dict:
        raise InvalidArguments(["$ must be a JSON object."])
    if problems := _problems(schema, arguments, key, time_limit, of_arguments=True):
        raise InvalidArguments(problems)


def validate_output(
    schema: Mapping[str, Any],
    value: Any,
    *,
    key: Hashable | None = None,
    time_limit: float = TIME_LIMIT,
) -> tuple[str, ...]:
    """How any JSON value differs from a tool's `output_schema`; empty where it fits.

    Nothing is raised: the tool has done its work, and its result counts. A schema that cannot be
    held to its limits is one of the problems.
    Source: MCP 2026-07-28, server/tools, "Output Schema".
    """
    try:
        return tuple(_problems(schema, value, key, time_limit, of_arguments=False))
    except InvalidArguments as exc:
        return exc.problems
    except SchemaError as exc:
        return (f"The output schema itself cannot be used: {exc}",)


def _problems(
    schema: Mapping[str, Any],
    value: Any,
    key: Hashable | None,
    time_limit: float,
    *,
    of_arguments: bool,
) -> list[str]:
    _check_limits(value)
    sentences: dict[str, None] = {}
    try:
        program = _programs.get(schema, key, of_arguments=of_arguments)
        problems = Evaluation(program, Clock(time_limit)).descend(value, program.schema)
        for problem in islice(problems, 10 * MAX_PROBLEMS):
            sentences[sentence(problem)] = None
            if len(sentences) == MAX_PROBLEMS:
                break
    except (TooSlow, TooLong, RecursionError) as exc:
        # One problem settles it; the look for more of them may fail.
        if not sentences:
            raise _undecided(exc, time_limit) from None
    return list(sentences)


def _undecided(
    error: TooSlow | TooLong | RecursionError, time_limit: float
) -> SchemaError | InvalidArguments:
    """What a check that ended without any answer is to the caller."""
    match error:
        case TooSlow():
            return SchemaError(
                f"Holding the value to the schema took more than {time_limit:g} s of computing; "
                "simplify its patterns and references."
            )
        case TooLong():
            return UncheckableArguments(
                [f"$ holds a text of over {MAX_SUBJECT:,} characters that must match a pattern."]
            )
        case _:
            return SchemaError(
                "The schema's references lead in a circle, or it is nested too deep together with "
                "the value; flatten it."
            )


def _check_limits(value: Any) -> None:
    """Refuse what is no JSON value of ordinary size, before any schema sees it."""
    try:
        text = ENCODE(value)
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise UncheckableArguments(
            ["$ holds half a surrogate pair, which is no character."]
        ) from None
    except (TypeError, ValueError, RecursionError):
        raise UncheckableArguments(
            ["$ must be plain JSON with finite numbers, not nested too deep."]
        ) from None
    if size > MAX_ARGUMENTS:
        raise UncheckableArguments(
            [f"$ has {size:,} bytes; at most {MAX_ARGUMENTS:,} are allowed."]
        )
    if "\\u0000" in text and NUL.search(text):
        raise UncheckableArguments(["$ holds a NUL character (\\u0000); leave it out."])
    if isinstance(value, dict | list) and nested_deeper(value, MAX_DEPTH):
        raise UncheckableArguments(
            [f"$ is nested deeper than {MAX_DEPTH} levels; make it flatter."]
        )
