import json
import math
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automate_llm.exceptions import LimitExceeded, ProtocolError
from automate_llm.strict_json import MAX_ELEMENTS, cleaned, dumps, loads, storable
from tests.thoroughness import examples

TEXTS = st.text(st.characters())
NUMBERS = st.integers() | st.floats() | st.booleans() | st.none()
VALUES = st.recursive(
    NUMBERS | TEXTS | st.sampled_from(["\x00", "\ud800", "\\u0000", "a\udfffb"]),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_what_every_json_parser_reads_is_read_the_same(value):
    data = json.dumps(value).encode()

    assert repr(loads(data)) == repr(json.loads(data))


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"{", b'{"a":}', b"[1,]", b"\xff\xfe", b"'a'", b"[1] [2]", b'"\xff"']
)
def test_what_is_not_json_is_refused(data):
    with pytest.raises(ProtocolError) as caught:
        loads(data)

    assert caught.value.may_have_run


def test_a_byte_order_mark_is_passed_over():
    assert loads(b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [65, 900, 100_000])
def test_nesting_deeper_than_64_is_refused(opening, depth):
    closing = b"]" if opening == b"[" else b"}"

    with pytest.raises(ProtocolError):
        loads(opening * depth + b"1" + closing * depth)


def test_nesting_of_64_is_taken_whatever_stands_in_texts():
    data = b"[" * 64 + b'"' + b"[{" * 100 + b'"' + b"]" * 64

    assert json.dumps(loads(data), separators=(",", ":")).encode() == data


def test_brackets_in_a_text_do_not_hide_depth():
    data = b'["]]]]",' * 65 + b"1" + b"]" * 65

    with pytest.raises(LimitExceeded, match="nested deeper"):
        loads(data)


@pytest.mark.parametrize("element", [b"[]", b"{}", b"1", b'""'])
def test_more_than_400_000_elements_are_refused(element):
    with pytest.raises(LimitExceeded, match="elements"):
        loads(b"[" + (element + b",") * MAX_ELEMENTS + b"1]")


def test_commas_in_a_text_are_no_elements():
    table = "1,2,3\n" * 200_000

    assert loads(dumps({"csv": table})) == {"csv": table}


@pytest.mark.parametrize("data", [b'"' + b'\\"' * 500_000, b'"' + b"," * 500_000 + b"\\"])
def test_a_text_without_end_costs_no_time(data):
    began = time.process_time()
    with pytest.raises(ProtocolError):
        loads(data)

    assert time.process_time() - began < 1


@pytest.mark.parametrize("number", ["1" * 301, "-" + "1" * 301, "1" * 5_000])
def test_an_integer_that_no_database_takes_is_refused(number):
    with pytest.raises(LimitExceeded, match="number"):
        loads(f'{{"n": {number}}}'.encode())


def test_digits_in_a_text_are_no_number():
    assert loads(dumps(["3" * 5_000])) == ["3" * 5_000]


@pytest.mark.parametrize("data", [b"NaN", b"-Infinity", b"1e999"])
def test_numbers_that_are_not_finite_are_read_and_never_stored(data):
    value = loads(b'[{"ok": 1, "bad": ' + data + b"}]")

    assert not storable(value)
    assert cleaned(value) == [{"ok": 1, "bad": None}]


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_what_is_cleaned_can_be_stored_and_what_can_be_stored_is_not_touched(value):
    clean = cleaned(value)

    assert storable(clean)
    assert dumps(clean).decode()
    assert "\\u0000" not in json.dumps(clean).replace("\\\\", "")
    assert (clean is value) == storable(value)


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_storable_is_what_the_databases_take(value):
    def fits(item):
        match item:
            case str():
                return "\x00" not in item and not any("\ud800" <= c <= "\udfff" for c in item)
            case float():
                return math.isfinite(item)
            case dict():
                return all(fits(key) and fits(inner) for key, inner in item.items())
            case list():
                return all(map(fits, item))
        return True

    assert storable(value) == fits(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [-math.inf]}])
def test_nothing_that_is_not_finite_is_written(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps(value)


def test_half_a_surrogate_pair_is_written_as_a_question_mark():
    assert dumps({"a": "\ud800é"}) == '{"a":"?é"}'.encode()
