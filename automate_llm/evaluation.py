"""jsonschema's keywords, run under a budget and without a resolver.

The keyword functions are jsonschema's own, taken from its validator classes; those that could
run for ever, fetch, or raise are replaced. They call back into an `Evaluation`, which counts
every step, and finds a reference in the table that `schemas.examine` made: there is nothing here
that could open an address.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from jsonschema import Draft7Validator, Draft201909Validator, Draft202012Validator
from jsonschema.exceptions import ValidationError

from .formats import FORMATS
from .patterns import Clock, matches
from .schemas import CheckedSchema, Dialect, Schema

_Keyword = Callable[[Any, Any, Any, Any], Iterable[Any] | None]
_Plan = tuple[tuple[_Keyword, str, Any], ...]

# One step takes microseconds, but for a large instance that a message quotes.
_STEPS_PER_LOOK = 16


class Problem:
    """One way in which an instance does not fit: which keyword, what it wanted, what it got.

    `path` leads from the root of the arguments, innermost last. `branch` is the index of the
    `anyOf` or `oneOf` branch that it came from, `context` holds the problems of each branch.
    """

    __slots__ = ("branch", "context", "expected", "instance", "keyword", "parent", "path")

    def __init__(
        self,
        keyword: str,
        expected: Any,
        instance: Any,
        context: Iterable[Any] = (),
    ) -> None:
        self.keyword = keyword
        self.expected = expected
        self.instance = instance
        self.context: list[Problem] = list(context)
        self.path: list[str | int] = []
        self.branch: str | int = 0
        # jsonschema's ValidationError sets it on what it gets as context.
        self.parent: object = None


class Program:
    """A schema made ready to run: keywords looked up, references resolved. Used by many threads."""

    def __init__(self, schema: Schema, checked: CheckedSchema) -> None:
        self.schema = schema
        self.references = checked.references
        self._keywords = _KEYWORDS[checked.dialect]
        self._ref_alone = checked.dialect == "draft-07"
        self.contains_evaluates = checked.dialect == "2020-12"
        self.plans: dict[int, _Plan] = {}

    def plan(self, schema: dict[str, Any]) -> _Plan:
        """The keywords of one subschema. It is part of `self.schema`, so its id stays its own."""
        keywords = self._keywords
        if self._ref_alone and "$ref" in schema:
            plan: _Plan = ((keywords["$ref"], "$ref", schema["$ref"]),)
        else:
            plan = tuple((keywords[k], k, v) for k, v in schema.items() if k in keywords)
        self.plans[id(schema)] = plan
        return plan


class Evaluation:
    """One check of one instance: the `validator` that jsonschema's keyword functions talk to."""

    __slots__ = ("_plan", "_plans", "_steps", "clock", "contains_evaluates", "references")

    def __init__(self, program: Program, clock: Clock) -> None:
        self._plans = program.plans
        self._plan = program.plan
        self._steps = 0
        self.clock = clock
        self.references = program.references
        self.contains_evaluates = program.contains_evaluates

    def spend(self) -> None:
        """Count one step.

        Raises:
            TooSlow: the time is used up.
        """
        self._steps += 1
        if not self._steps % _STEPS_PER_LOOK:
            self.clock.left()

    def descend(
        self,
        instance: Any,
        schema: Schema,
        path: str | int | None = None,
        schema_path: str | int | None = None,
    ) -> Iterator[Problem]:
        """Yield what is wrong with the instance under one subschema."""
        if schema is True:
            return
        self.spend()
        if schema is False:
            problem = Problem("false", False, instance)
            if path is not None:
                problem.path.insert(0, path)
            yield problem
            return
        plan = self._plans.get(id(schema))
        if plan is None:
            plan = self._plan(schema)
        for function, keyword, expected in plan:
            for found in function(self, expected, instance, schema) or ():
                if type(found) is Problem:
                    problem = found
                else:
                    problem = _problem(found, keyword, expected, instance)
                if path is not None:
                    problem.path.insert(0, path)
                if schema_path is not None:
                    problem.branch = schema_path
                yield problem

    def fits(self, instance: Any, schema: Schema) -> bool:
        """Whether the instance has no problem under a subschema."""
        return next(self.descend(instance, schema), None) is None

    def is_type(self, instance: Any, type: str) -> bool:
        return _TYPES[type](instance)

    def evolve(self, *, schema: Schema) -> "_Branch":
        return _Branch(self, schema)


class _Branch:
    """A subschema that a keyword function asks a yes or no of."""

    __slots__ = ("_evaluation", "_schema")

    def __init__(self, evaluation: Evaluation, schema: Schema) -> None:
        self._evaluation = evaluation
        self._schema = schema

    def is_valid(self, instance: Any) -> bool:
        return self._evaluation.fits(instance, self._schema)


def _problem(error: ValidationError, keyword: str, expected: Any, instance: Any) -> Problem:
    """What a keyword function found, without the message that quotes the whole instance."""
    # contains reports minContains and maxContains under their own names.
    if isinstance(error.validator, str):
        return Problem(error.validator, error.validator_value, instance)
    return Problem(keyword, expected, instance, error.context)


def _is_integer(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "array": lambda value: type(value) is list,
    "boolean": lambda value: type(value) is bool,
    "integer": _is_integer,
    "null": lambda value: value is None,
    "number": lambda value: type(value) is int or type(value) is float,
    "object": lambda value: type(value) is dict,
    "string": lambda value: type(value) is str,
}


def _reference(
    validator: Evaluation, target: str, instance: Any, schema: dict[str, Any]
) -> Iterator[Problem]:
    return validator.descend(instance, validator.references[target])


def _pattern(
    validator: Evaluation, pattern: str, instance: Any, schema: dict[str, Any]
) -> Iterator[Problem]:
    if type(instance) is str and not matches(pattern, instance, validator.clock):
        yield Problem("pattern", pattern, instance)


def _format(
    validator: Evaluation, name: str, instance: Any, schema: dict[str, Any]
) -> Iterator[Problem]:
    check = FORMATS.get(name)
    if check and type(instance) is str and not check(instance):
        yield Problem("format", name, instance)


def _named_by(validator: Evaluation, patterns: Iterable[str], name: str) -> bool:
    for pattern in patterns:
        validator.spend()
        if matches(pattern, name, validator.clock):
            return True
    return False


def _pattern_properties(
    validator: Evaluation, by_pattern: dict[str, Schema], instance: Any, schema: dict[str, Any]
) -> Iterator[Problem]:
    if type(instance) is not dict:
        return
    for pattern, subschema in by_pattern.items():
        for name, value in instance.items():
            if _named_by(validator, (pattern,), name):
                yield from validator.descend(value, subschema, path=name)


def _property_names(
    validator: Evaluation, subschema: Schema, instance: Any, schema: dict[str, Any]
) -> Iterator[Problem]:
    if type(instance) is not dict:
        return
    for name in instance:
        for problem in validator.descend(name, subschema):
            yield Problem("propertyNames", problem, name)
            break


def _additional_properties(
    validator: Evaluation, subschema: Schema, instance: Any, schema: dict[str, Any]
) -> Iterator[Problem]:
    if type(instance) is not dict or subschema is True:
        return
    known, patterns = schema.get("properties", ()), schema.get("patternProperties", ())
    extra = [
        name
        for name in instance
        if name not in known and not (patterns and _named_by(validator, patterns, name))
    ]
    if subschema is False:
        if extra:
            yield Problem("additionalProperties", list(known), extra)
        return
    for name in extra:
        yield from validator.descend(instance[name], subschema, path=name)


def _unique_items(
    validator: Evaluation, unique: bool, instance: Any, schema: dict[str, Any]
) -> Iterator[Problem]:
    if not unique or type(instance) is not list:
        return
    seen: set[Any] = set()
    for each in instance:
        validator.spend()
        key = _comparable(each)
        if key in seen:
            yield Problem("uniqueItems", True, each)
            return
        seen.add(key)


def _comparable(value: Any) -> Any:
    """A key that is equal for values that JSON Schema calls equal: 1 and 1.0, but not true."""
    if type(value) is list:
        return ("[", tuple(map(_comparable, value)))
    if type(value) is dict:
        return ("{", frozenset((name, _comparable(each)) for name, each in value.items()))
    return ("!", value) if type(value) is bool else value


def _multiple_of(
    validator: Evaluation, divisor: float, instance: Any, schema: dict[str, Any]
) -> Iterator[Problem]:
    """Exact in the decimal digits that were written: 0.3 is a multiple of 0.1."""
    if type(instance) is int and type(divisor) is int:
        fits = not instance % divisor
    elif type(instance) is int or type(instance) is float:
        fits = (Fraction(repr(instance)) / Fraction(repr(divisor))).denominator == 1
    else:
        return
    if not fits:
        yield Problem("multipleOf", divisor, instance)


def _applied(validator: Evaluation, instance: Any, schema: Schema) -> Iterator[dict[str, Any]]:
    """Yield every subschema that speaks about this very instance and accepts it."""
    if type(schema) is not dict:
        return
    validator.spend()
    yield schema
    for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
        if keyword in schema:
            yield from _applied(validator, instance, validator.references[schema[keyword]])
    for keyword in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(keyword, ()):
            if validator.fits(instance, each):
                yield from _applied(validator, instance, each)
    if "if" in schema:
        holds = validator.fits(instance, schema["if"])
        if holds:
            yield from _applied(validator, instance, schema["if"])
        yield from _applied(validator, instance, schema.get("then" if holds else "else", True))
    if type(instance) is dict:
        for name, each in schema.get("dependentSchemas", {}).items():
            if name in instance:
                yield from _applied(validator, instance, each)


def _unevaluated_properties(
    validator: Evaluation, subschema: Schema, instance: Any, schema: dict[str, Any]
) -> Iterator[Problem]:
    if type(instance) is not dict:
        return
    known: set[str] = set()
    for each in _applied(validator, instance, schema):
        if "additionalProperties" in each or (
            each is not schema and "unevaluatedProperties" in each
        ):
            return
        known.update(each.get("properties", ()))
        if patterns := each.get("patternProperties"):
            known.update(name for name in instance if _named_by(validator, patterns, name))
    extra = [name for name in instance if name not in known]
    if subschema is False:
        if extra:
            yield Problem("unevaluatedProperties", sorted(known), extra)
        return
    for name in extra:
        yield from validator.descend(instance[name], subschema, path=name)


def _unevaluated_items(
    validator: Evaluation, subschema: Schema, instance: Any, schema: dict[str, Any]
) -> Iterator[Problem]:
    if type(instance) is not list:
        return
    known: set[int] = set()
    for each in _applied(validator, instance, schema):
        items = each.get("items", [])
        if (
            type(items) is not list
            or ("items" in each and "additionalItems" in each)
            or (each is not schema and "unevaluatedItems" in each)
        ):
            return
        known.update(range(len(items or each.get("prefixItems", ()))))
        # Before 2020-12 what contains found still counted as not evaluated.
        if "contains" in each and validator.contains_evaluates:
            wanted = each["contains"]
            known.update(i for i, value in enumerate(instance) if validator.fits(value, wanted))
    for index, value in enumerate(instance):
        if index not in known:
            yield from validator.descend(value, subschema, path=index)


_BOUNDED: dict[str, _Keyword] = {
    "$ref": _reference,
    "additionalProperties": _additional_properties,
    "format": _format,
    "multipleOf": _multiple_of,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "propertyNames": _property_names,
    "uniqueItems": _unique_items,
}
_UNEVALUATED: dict[str, _Keyword] = {
    "unevaluatedItems": _unevaluated_items,
    "unevaluatedProperties": _unevaluated_properties,
}
_KEYWORDS: dict[Dialect, dict[str, _Keyword]] = {
    "draft-07": {**Draft7Validator.VALIDATORS, **_BOUNDED},
    "2019-09": {
        **Draft201909Validator.VALIDATORS,
        **_BOUNDED,
        **_UNEVALUATED,
        "$recursiveRef": _reference,
    },
    "2020-12": {
        **Draft202012Validator.VALIDATORS,
        **_BOUNDED,
        **_UNEVALUATED,
        "$dynamicRef": _reference,
    },
}
