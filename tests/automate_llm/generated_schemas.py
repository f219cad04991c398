"""Schemas and arguments for tests that try many of them."""

from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c", "d"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 6),
    st.sampled_from([0.0, 0.5, 1.0, 2.0, 2.5]),
    st.sampled_from(["", "a", "b", "aa", "1", "é"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
ARGUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)

_TYPES = st.sampled_from(["array", "boolean", "integer", "null", "number", "object", "string"])
_SIZES = st.integers(0, 3)
_REFERENCES = st.sampled_from(["#", "#/$defs/a", "#/$defs/b", "#n"])


def _keywords(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    by_name = st.dictionaries(NAMES, inner, max_size=3)
    listed = st.lists(inner, min_size=1, max_size=3)
    names = st.lists(NAMES, unique=True, max_size=3)
    return {
        "additionalProperties": inner,
        "allOf": listed,
        "anyOf": listed,
        "const": VALUES,
        "contains": inner,
        "dependentRequired": st.dictionaries(NAMES, names, max_size=2),
        "dependentSchemas": by_name,
        "else": inner,
        "enum": st.lists(VALUES, max_size=4),
        "exclusiveMaximum": st.integers(-1, 4),
        "exclusiveMinimum": st.integers(-1, 4),
        "if": inner,
        "items": inner,
        "maxContains": _SIZES,
        "maxItems": _SIZES,
        "maxLength": _SIZES,
        "maxProperties": _SIZES,
        "maximum": st.integers(-1, 4),
        "minContains": _SIZES,
        "minItems": _SIZES,
        "minLength": _SIZES,
        "minProperties": _SIZES,
        "minimum": st.integers(-1, 4),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "not": inner,
        "oneOf": listed,
        "pattern": st.sampled_from(["^a", "a$", "[0-9]", "^(a|b)*$"]),
        "patternProperties": st.dictionaries(
            st.sampled_from(["^a", "[bc]", "d$"]), inner, max_size=2
        ),
        "prefixItems": listed,
        "properties": by_name,
        "propertyNames": inner,
        "required": names,
        "then": inner,
        "type": _TYPES | st.lists(_TYPES, unique=True, min_size=1, max_size=3),
        "unevaluatedItems": inner,
        "unevaluatedProperties": inner,
        "uniqueItems": st.booleans(),
    }


def _schema(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keywords = _keywords(inner)
    return st.sets(st.sampled_from(sorted(keywords)), max_size=4).flatmap(
        lambda chosen: st.fixed_dictionaries({name: keywords[name] for name in sorted(chosen)})
    )


SUBSCHEMAS = st.recursive(
    st.booleans() | st.fixed_dictionaries({"type": _TYPES}), _schema, max_leaves=8
)
OBJECT_SCHEMAS = st.builds(
    lambda schema, properties: {**schema, "type": "object", "properties": properties},
    _schema(SUBSCHEMAS),
    st.dictionaries(NAMES, SUBSCHEMAS, max_size=3),
)

_WITH_REFERENCES = st.recursive(
    SUBSCHEMAS | st.fixed_dictionaries({"$ref": _REFERENCES}), _schema, max_leaves=6
)
REFERRING_SCHEMAS = st.builds(
    lambda properties, a, b: {
        "properties": properties,
        "$defs": {"a": a, "b": b, "n": {"$anchor": "n", "type": "integer"}},
    },
    st.dictionaries(NAMES, _WITH_REFERENCES, max_size=3),
    _WITH_REFERENCES,
    _WITH_REFERENCES,
)

_ANYTHING = st.one_of(VALUES, st.just({"type": "string"}), st.just(["a"]), st.just("a"))
_EVERY_KEYWORD = sorted(
    set(_keywords(st.none()))
    | {
        "$anchor",
        "$comment",
        "$defs",
        "$dynamicAnchor",
        "$dynamicRef",
        "$id",
        "$recursiveAnchor",
        "$recursiveRef",
        "$ref",
        "$schema",
        "$vocabulary",
        "additionalItems",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "default",
        "definitions",
        "dependencies",
        "deprecated",
        "description",
        "examples",
        "format",
        "readOnly",
        "title",
        "writeOnly",
        "x-own",
    }
)
BROKEN_SCHEMAS = st.dictionaries(
    st.sampled_from(_EVERY_KEYWORD), _ANYTHING | SUBSCHEMAS, max_size=4
).flatmap(
    lambda schema: (
        st.just(schema) | st.just({"properties": {"a": schema}}) | st.just({"not": schema})
    )
)
