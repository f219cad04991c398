"""Schemas and arguments made to hang, to fill memory or to reach out: each ends soon, and alone."""

import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from automate_llm.exceptions import InvalidArguments, SchemaError
from automate_llm.validation import validate_arguments

DEPTH = 60


def _deep(levels: int, wrap: Any, core: Any = None) -> Any:
    value = {} if core is None else core
    for _level in range(levels):
        value = wrap(value)
    return value


def _doubling(keyword: str, levels: int = 40) -> dict[str, Any]:
    """A schema of a few lines that means 2^40 checks."""
    definitions = {
        f"d{i}": {keyword: [{"$ref": f"#/$defs/d{i + 1}"}, {"$ref": f"#/$defs/d{i + 1}"}]}
        for i in range(levels)
    }
    definitions[f"d{levels}"] = {"type": "string"}
    return {"properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": definitions}


def _of(schema: Any) -> dict[str, Any]:
    return {"properties": {"a": schema}}


CASES: dict[str, tuple[dict[str, Any], Any]] = {
    "repeated repeat": (_of({"pattern": "^(a|a)+$"}), "a" * 100 + "!"),
    "words and spaces": (_of({"pattern": r"^(\w+\s?)+[;:]"}), "word " * 1_000 + "!"),
    "two equal ways, long text": (_of({"pattern": "^(?:a|a)*[bc]"}), "a" * 199_999),
    "two equal ways, 1 MB": (_of({"pattern": "(a|a)*b"}), "a" * 990_000),
    "overlapping repeats": (_of({"pattern": "(x+x+)+[yz]"}), "x" * 5_000),
    "empty repeats": (_of({"pattern": "^(?:(?:(?:a?)?)?)*[bc]"}), "a" * 199_999),
    "backward look": (_of({"pattern": "(?<=(?:a|a)*[xz])[bc]"}), "ab" * 50_000),
    "back reference": (_of({"pattern": r"(.+)+\1[yz]"}), "ab" * 2_000),
    "slow pattern on many names": (
        _of({"patternProperties": {"(a|a)*[bc]$": {}, "(b|b)*[cd]$": {}}}),
        {"a" * 40 + str(i): 1 for i in range(1_000)},
    ),
    "many patterns on many names": (
        _of({"patternProperties": {f"^{i}x": False for i in range(200)}}),
        {str(i): 1 for i in range(50_000)},
    ),
    "slow pattern in unevaluatedProperties": (
        _of({"patternProperties": {"^(a|a)*$": {}}, "unevaluatedProperties": False}),
        {"a" * 60 + "!": 1},
    ),
    "slow pattern in propertyNames": (
        _of({"propertyNames": {"pattern": "^(a|a)*$"}}),
        {"a" * 60 + "!": 1},
    ),
    "slow pattern in contains": (
        _of({"contains": {"pattern": "^(a|a)*$"}}),
        ["a" * 60 + "!"] * 10,
    ),
    "unique lists, 100,000": (_of({"uniqueItems": True}), [[i] for i in range(100_000)]),
    "unique, mixed": (_of({"uniqueItems": True}), [None, *range(120_000), "x", 1.5]),
    "unique, one hash": (_of({"uniqueItems": True}), [i * (2**61 - 1) for i in range(40_000)]),
    "unique, deep": (
        _of({"uniqueItems": True}),
        [_deep(DEPTH, lambda v: [v], i) for i in range(2_000)],
    ),
    "allOf, doubled 40 times": (_doubling("allOf"), "x"),
    "anyOf, doubled 40 times": (_doubling("anyOf"), 1),
    "oneOf, doubled 40 times": (_doubling("oneOf"), "x"),
    "allOf in unevaluatedProperties": (
        {**_doubling("allOf"), "allOf": [{"$ref": "#/$defs/d0"}], "unevaluatedProperties": False},
        "x",
    ),
    "if inside if": (
        _of(_deep(7, lambda inner: {"if": inner, "then": inner, "else": inner}, {"const": 1})),
        2,
    ),
    "unevaluated inside unevaluated": (
        _of(_deep(11, lambda inner: {"anyOf": [inner, inner], "unevaluatedProperties": False})),
        {"x": 1},
    ),
    "itself": ({"$ref": "#"}, 1),
    "itself, by allOf": ({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, 1),
    "itself, by not": ({"not": {"$ref": "#"}}, 1),
    "in a circle": (
        {
            "properties": {"a": {"$ref": "#/$defs/b"}},
            "$defs": {"b": {"$ref": "#/$defs/c"}, "c": {"$dynamicRef": "#/$defs/b"}},
        },
        1,
    ),
    "in a circle, unevaluated": (
        {"unevaluatedProperties": False, "allOf": [True, {"$ref": "#"}]},
        1,
    ),
    "deep arguments": (_of({"$ref": "#"}), _deep(50_000, lambda v: [v])),
    "deep arguments, deep references": (
        {
            "allOf": [{"allOf": [{"$ref": "#/$defs/x"}]}],
            "$defs": {"x": {"additionalProperties": {"$ref": "#"}}},
        },
        _deep(DEPTH, lambda v: {"a": v}),
    ),
    "many items, many forms": (
        _of({"items": {"anyOf": [{"const": i} for i in range(1_000)]}}),
        ["x"] * 100_000,
    ),
    "many items, long enum": (_of({"items": {"enum": list(range(10_000))}}), ["x"] * 100_000),
    "large value, many branches": (
        _of({"anyOf": [{"type": "null"}] * 2_000}),
        {"x": "y" * 900_000},
    ),
    "contains, every item": (
        _of({"allOf": [{"contains": {"const": i}, "minContains": 0} for i in range(100)]}),
        [0] * 100_000,
    ),
    "huge and tiny": (_of({"multipleOf": 1e-320}), 1e308),
    "huge integer": (_of({"multipleOf": 1e-300, "maximum": 1e308}), 10**4_000),
    "huge integer, whole divisor": (_of({"multipleOf": 3, "type": "integer"}), 10**4_000),
    "beyond floats": (_of({"maximum": 1e400}), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_case_ends_soon_after_its_time(name):
    schema, value = CASES[name]
    started = time.thread_time()

    try:
        validate_arguments(schema, {"a": value}, time_limit=0.05)
    except (InvalidArguments, SchemaError) as exc:
        assert 0 < len(str(exc)) < 4_000

    assert time.thread_time() - started < 0.8


@pytest.mark.parametrize(
    "name",
    [
        "repeated repeat",
        "two equal ways, long text",
        "slow pattern in unevaluatedProperties",
        "allOf, doubled 40 times",
        "itself",
        "itself, by not",
        "in a circle",
        "unique, one hash",
    ],
)
def test_what_cannot_be_decided_in_time_fails_closed(name):
    schema, value = CASES[name]

    with pytest.raises(SchemaError):
        validate_arguments(schema, {"a": value}, time_limit=0.05)


def test_the_time_limit_is_the_callers():
    schema, value = CASES["repeated repeat"]
    started = time.thread_time()

    with pytest.raises(SchemaError, match=r"0\.02 s"):
        validate_arguments(schema, {"a": value}, time_limit=0.02)

    assert time.thread_time() - started < 0.2


def test_a_text_that_is_too_long_for_its_pattern_is_refused_even_under_not():
    schema = _of({"not": {"pattern": "^a"}})

    with pytest.raises(InvalidArguments, match="200,000 characters"):
        validate_arguments(schema, {"a": "a" * 200_001})


def test_nested_arguments_have_a_limit_of_their_own():
    validate_arguments({}, {"a": _deep(62, lambda v: [v])})

    with pytest.raises(InvalidArguments, match="deeper than 64"):
        validate_arguments({}, {"a": _deep(64, lambda v: [v])})


def test_another_thread_goes_on_while_a_pattern_hangs():
    schema, value = CASES["repeated repeat"]
    running = threading.Event()
    done = threading.Event()

    def hang() -> None:
        running.set()
        with pytest.raises(SchemaError):
            validate_arguments(schema, {"a": value}, time_limit=0.5)
        done.set()

    thread = threading.Thread(target=hang)
    thread.start()
    running.wait()
    started = time.thread_time()
    while not done.is_set():
        pass
    thread.join()

    # Where the lock is held, this thread gets a few milliseconds.
    assert time.thread_time() - started > 0.05


REMOTE = [
    ("$ref", "{address}/schema.json"),
    ("$ref", "{address}/schema.json#/$defs/x"),
    ("$dynamicRef", "{address}/schema.json#x"),
    ("$recursiveRef", "{address}/"),
    ("$schema", "{address}/draft"),
    ("$id", "{address}/base/"),
]


@pytest.mark.parametrize(("keyword", "address"), REMOTE)
@pytest.mark.parametrize("nested", [False, True])
def test_no_address_in_a_schema_is_ever_opened(keyword, address, nested):
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0)
        node = {keyword: address.format(address=f"http://127.0.0.1:{canary.getsockname()[1]}")}
        if keyword == "$id":
            node["allOf"] = [{"$ref": "schema.json"}]
        schema = _of(node) if nested else node

        try:
            validate_arguments(schema, {"a": 1})
        except SchemaError as exc:
            assert keyword in str(exc) or "allOf" in str(exc)
        else:
            # A dialect named by a subschema is no business of ours.
            assert (keyword, nested) == ("$schema", True)

        with pytest.raises(BlockingIOError):
            canary.accept()


def test_no_file_is_ever_read(tmp_path):
    target = tmp_path / "schema.json"
    target.write_text('{"type": "integer"}')

    with pytest.raises(SchemaError, match="nothing is fetched"):
        validate_arguments(_of({"$ref": target.as_uri()}), {"a": 1})


def test_an_old_dialect_named_inside_does_not_switch_the_limits_off():
    schema = _of({"$schema": "http://json-schema.org/draft-03/schema#", "pattern": "^(a|a)*$"})

    with pytest.raises(SchemaError, match="took more than"):
        validate_arguments(schema, {"a": "a" * 60 + "!"})


MEMORY = """
import resource
from automate_llm.exceptions import InvalidArguments, SchemaError
from automate_llm.validation import validate_arguments

def check(pattern, text):
    try:
        validate_arguments({"properties": {"a": {"pattern": pattern}}}, {"a": text})
    except (InvalidArguments, SchemaError) as exc:
        return type(exc).__name__
    return "fits"

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

check("a", "a")
resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))
before = most()
answers = {
    check("(a|a)*b", "a" * 2_000_000),
    check("(a|a)*[bc]", "a" * 199_999),
    check("^(?:(?:(?:a?)?)?)*[bc]", "a" * 199_999),
    check("(?:[ab]{60000}){60000}c", "a"),
}
print("fits" in answers, (most() - before) // 1_000)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_pattern_takes_little_memory():
    ran = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, timeout=60
    )

    fits, megabytes = ran.stdout.split()
    assert fits == "False"
    assert int(megabytes) < 150
