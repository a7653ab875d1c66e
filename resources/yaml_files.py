"""YAML that people write: read without doubled keys, and its problems said in their words."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from resources.remote import SECRET

_NO_MAPPING = {"dict_type", "model_type", "model_attributes_type"}


class _OneOfEachKey(yaml.SafeLoader):
    """Refuses a key that occurs twice in a mapping; YAML would let the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                raise yaml.constructor.ConstructorError(
                    problem=f"`{name}:` is there twice, in lines {lines[name]} and {line}; keep one"
                )
            lines[name] = line
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> Any:
    """What a YAML text says.

    Raises:
        yaml.YAMLError: it is not YAML, or a key occurs twice in one mapping.
    """
    loader = _OneOfEachKey(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def problems_of(error: ValidationError, given: Any, model: type[BaseModel]) -> list[str]:
    """Everything that is wrong with a file, each with its place and what to write there.

    Args:
        error: what checking the file found.
        given: what the file says.
        model: what it was checked against.
    """
    said: dict[tuple[str | int, ...], list[str]] = {}
    for item in error.errors():
        said.setdefault(_place(item, given), []).append(_message(item, model))
    deeper = {place[:length] for place in said for length in range(len(place))}
    # Where a list is allowed beside words, what is wrong inside the list says more.
    told = {place: found for place, found in said.items() if not place or place not in deeper}
    return [
        f"{'.'.join(map(str, place))}: {' or '.join(found)}" if place else "; ".join(found)
        for place, found in told.items()
    ]


def _place(item: ErrorDetails, given: Any) -> tuple[str | int, ...]:
    """Where in the file a problem is: pydantic's own names of alternatives are left out."""
    place: list[str | int] = []
    for part in item["loc"]:
        try:
            given = given[part]
        except (TypeError, LookupError):
            if item["type"] != "missing" or part != item["loc"][-1]:
                continue
        place.append(part)
    return tuple(place)


def _message(item: ErrorDetails, model: type[BaseModel]) -> str:
    kind, value, context = item["type"], item["input"], item.get("ctx", {})
    key = str(context.get("discriminator", "")).strip("'")
    said = {
        "extra_forbidden": "unknown key; remove it or mend its spelling",
        "missing": "missing",
        "union_tag_invalid": f"no {key} `{context.get('tag')}`; "
        f"there are {context.get('expected_tags')}",
        "value_error": item["msg"].removeprefix("Value error, "),
        SECRET: item["msg"],
    }
    if kind in said:
        return said[kind]
    if kind == "union_tag_not_found":
        choices = _choices(model.model_json_schema(), key)
        return f"`{key}:` is missing; there are {', '.join(choices)}"
    wanted = item["msg"].replace("Input should be", "should be", 1)
    if kind in _NO_MAPPING:
        wanted = "write its keys below it, each as `key: value`"
    elif kind == "tuple_type":
        wanted = "write a list" if isinstance(value, dict | None) else f"write a list: [{value}]"
    return f"{wanted} (given: {value!r:.120})"


def _choices(schema: Any, key: str) -> list[str]:
    """The values of a key that tells alternatives apart, wherever in a JSON schema they are."""
    if isinstance(schema, dict):
        told = schema.get("discriminator")
        if isinstance(told, dict) and told.get("propertyName") == key:
            return sorted(told["mapping"])
        schema = list(schema.values())
    if isinstance(schema, list):
        return next((found for part in schema if (found := _choices(part, key))), [])
    return []
