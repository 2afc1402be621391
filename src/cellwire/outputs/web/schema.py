"""What may be asked and what is answered, as JSON Schema; the same rows check requests and describe them."""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from .answers import bad_request, printable

Schema = dict[str, Any]

LATEST = 253402300799.0  # the end of the year 9999

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
YES_OR_NO: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "number", "description": "seconds since 1970"}


class Parameter(NamedTuple):
    """A parameter of the query string."""

    name: str
    schema: Schema
    meaning: str
    default: Any = None
    required: bool = False


def thing(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None, **more: Any) -> Schema:
    """Return the schema of an object."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": sorted(required), **more}


def closed(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Schema:
    """Return the schema of an object that has no other keys."""
    return thing(required, optional, additionalProperties=False)


def listed(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def table(items: Schema) -> Schema:
    """Return the schema of an object with any keys."""
    return {"type": "object", "additionalProperties": items}


def word(*words: str) -> Schema:
    """Return the schema of a choice."""
    return {"type": "string", "enum": list(words)}


def refer(name: str) -> Schema:
    """Return a reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def text(longest: int, shortest: int = 0) -> Schema:
    """Return the schema of a text of limited length."""
    return {"type": "string", "minLength": shortest, "maxLength": longest}


def or_null(properties: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return the schemas of keys that null takes away."""
    return {name: {**schema, "type": [schema["type"], "null"]} for name, schema in properties.items()}


def check_loose(value: Any, schema: Schema, where: str = "the body") -> None:
    """Raise Problem when a body is no object, or has one where none can be; who gets it checks the rest."""
    if not isinstance(value, dict):
        raise bad_request(f"{where} must be an object")
    for key, inner in value.items():
        rule = schema.get("properties", {}).get(key)
        if rule is not None and isinstance(inner, dict):
            if "object" not in rule["type"]:
                raise bad_request(f"{key!r} must not be an object")
            check_loose(inner, rule, repr(key))


def check(value: Any, schema: Schema, where: str = "the body") -> None:
    """Raise Problem when a body does not fit its schema."""
    wanted = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(_is(value, kind) for kind in wanted):
        raise bad_request(f"{where} must be {'an' if wanted[0][0] in 'aeiou' else 'a'} {' or '.join(wanted)}")
    if isinstance(value, dict):
        _check_keys(value, schema, where)
    elif isinstance(value, str):
        _check_text(value, schema, where)
    elif value < schema.get("minimum", -math.inf):
        raise bad_request(f"{where} must be at least {schema['minimum']}")
    elif value > schema.get("maximum", math.inf):
        raise bad_request(f"{where} must be at most {schema['maximum']:g}")


def _is(value: Any, kind: str) -> bool:
    """Return whether a value is of a kind of JSON."""
    if isinstance(value, bool):
        return kind == "boolean"
    kinds = {"object": dict, "string": str, "integer": int, "number": int | float}
    return kind in kinds and isinstance(value, kinds[kind])


def _check_keys(value: dict[str, Any], schema: Schema, where: str) -> None:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    least, most = schema.get("minProperties", 0), schema.get("maxProperties", math.inf)
    if not least <= len(value) <= most:
        raise bad_request(f"{where} must have {least} to {most} keys")
    for key in schema.get("required", ()):
        if key not in value:
            raise bad_request(f"{where} needs {key!r}")
    for key, inner in value.items():
        if "propertyNames" in schema:
            check(key, schema["propertyNames"], f"the key {printable(key)!r}")
        if key in properties:
            check(inner, properties[key], repr(key))
        elif others is False:
            raise bad_request(f"{where} has an unknown key {printable(key)!r}; known: {', '.join(properties)}")
        elif others is not True:
            check(inner, others, repr(key))


def _check_text(value: str, schema: Schema, where: str) -> None:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    if not shortest <= len(value) <= longest:
        raise bad_request(f"{where} must have {shortest} to {longest} characters")
    if "enum" in schema and value not in schema["enum"]:
        raise bad_request(f"{where} must be one of {', '.join(schema['enum'])}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        raise bad_request(f"{where} must look like {schema['pattern']}")


def read_query(query: "list[tuple[str, str]]", parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    """Return the values of the query string; raise Problem for what is not known or does not fit."""
    known = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Any] = {}
    for name, raw in query:
        if name not in known:
            there = ", ".join(known) or "none"
            raise bad_request(f"unknown parameter {printable(name)!r}; known: {there}")
        if name in values:
            raise bad_request(f"the parameter {name!r} must come once only")
        values[name] = _value(raw, known[name])
    for parameter in parameters:
        if parameter.name not in values:
            if parameter.required:
                raise bad_request(f"the parameter {parameter.name!r} is missing: {parameter.meaning}")
            values[parameter.name] = parameter.default
    return values


def _value(raw: str, parameter: Parameter) -> Any:
    schema = parameter.schema
    if schema["type"] == "string":
        check(raw, schema, repr(parameter.name))
        return raw
    number = _number(raw, schema["type"])
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if number is None or not low <= number <= high:
        kind = "a whole number" if schema["type"] == "integer" else "a number"
        raise bad_request(f"{parameter.name!r} must be {kind} from {low} to {high}")
    return number


def _number(raw: str, kind: str) -> float | int | None:
    form = r"-?\d{1,15}" if kind == "integer" else r"-?\d{1,15}(\.\d{1,20})?([eE][+-]?\d{1,2})?"
    if not re.fullmatch(form, raw, re.ASCII):
        return None
    return int(raw) if kind == "integer" else float(raw)
