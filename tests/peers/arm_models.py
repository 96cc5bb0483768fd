"""The models of Azure's Python clients as JSON schemas: of the generation that annotates its fields, and of the one before it."""

import datetime
import enum
import inspect
import re
import typing

PLAIN = {
    str: "string",
    int: "integer",
    bool: "boolean",
    float: "number",
    bytes: "string",
    datetime.datetime: "string",
}

# The older generation names the types of its fields by words of its own; what is none of them is a model, or anything.
WORDS = {
    "str": "string",
    "int": "integer",
    "long": "integer",
    "bool": "boolean",
    "float": "number",
    "decimal": "number",
    "iso-8601": "string",
    "rfc-1123": "string",
    "date": "string",
    "time": "string",
    "duration": "string",
    "bytearray": "string",
    "base64": "string",
}


class Schemas:
    """Models as they are spoken of, each once. Closed ones hold what the client knows and nothing else."""

    def __init__(self, client, prefix, is_closed):
        self.prefix, self.is_closed = f"{client.name}{prefix}", is_closed
        self.known = {}
        self.classes = {
            name: found for name, found in vars(client.models).items() if inspect.isclass(found)
        }
        self.names = {**vars(client.models), **client.annotations, "_models": client.models, "datetime": datetime}

    def of(self, name):
        key = f"{self.prefix}{name}"
        if key not in self.known:
            self.known[key] = {}
            found = self.classes[name]
            made = self.of_words(found) if hasattr(found, "_attribute_map") else self.of_hints(found)
            self.known[key] = made
        return {"$ref": f"#/components/schemas/{key}"}

    def object(self, properties, required, is_open=False):
        schema = {"type": "object", "properties": properties}
        if self.is_closed and not is_open:
            schema["additionalProperties"] = False
        return {**schema, "required": required} if required else schema

    # --- fields with annotations ---

    def of_hints(self, found):
        found.__new__(found)  # fills in the table of fields
        hints = typing.get_type_hints(found, self.names)
        properties, required = {}, []
        for attribute, field in found._attr_to_rest_field.items():
            schema = self.kind(hints[attribute])
            name = field._rest_name
            if type(None) not in typing.get_args(hints[attribute]) and field._visibility != ["read"]:
                required.append(name)
            properties[name] = or_null(schema)
        return self.object(properties, required)

    def kind(self, hint):
        arguments = [word for word in typing.get_args(hint) if word is not type(None)]
        origin = typing.get_origin(hint)
        if origin is typing.Union:
            enums = [word for word in arguments if inspect.isclass(word) and issubclass(word, enum.Enum)]
            return {"type": "string"} if enums else self.kind(arguments[0])
        if origin is list:
            return {"type": "array", "items": self.kind(arguments[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.kind(arguments[1])}
        if isinstance(hint, typing.ForwardRef):
            hint = hint.__forward_arg__
        if isinstance(hint, str):
            name = hint.split(".")[-1]
            return self.of(name) if name in self.classes else {}
        if inspect.isclass(hint) and hasattr(hint, "_attr_to_rest_field"):
            return self.of(hint.__name__)
        if inspect.isclass(hint) and issubclass(hint, enum.Enum):
            return {"type": "string"}
        return {"type": PLAIN[hint]} if hint in PLAIN else {}

    # --- fields with words: `properties.sku` is the field `sku` of the object `properties` ---

    def of_words(self, found):
        root = {"properties": {}, "required": []}
        for attribute, field in found._attribute_map.items():
            *outer, name = re.split(r"(?<!\\)\.", field["key"])
            rules = found._validation.get(attribute, {})
            # The last page has no link to a next one, whatever a model says.
            is_needed = rules.get("required", False) and not rules.get("readonly", False) and name != "nextLink"
            place = root
            for part in outer:
                if is_needed and part not in place["required"]:
                    place["required"].append(part)
                place = place["properties"].setdefault(part, {"properties": {}, "required": []})
            name = name.replace("\\.", ".")
            place["properties"][name] = or_null(self.word(field["type"]))
            if is_needed:
                place["required"].append(name)
        # What a kind of it adds is not known here.
        return self.nested(root, bool(getattr(found, "_subtype_map", None)))

    def nested(self, place, is_open):
        properties = {
            name: or_null(self.nested(inner, is_open)) if set(inner) == {"properties", "required"} else inner
            for name, inner in place["properties"].items()
        }
        return self.object(properties, place["required"], is_open)

    def word(self, word):
        if word.startswith("["):
            return {"type": "array", "items": self.word(word[1:-1])}
        if word.startswith("{"):
            return {"type": "object", "additionalProperties": self.word(word[1:-1])}
        if word in WORDS:
            return {"type": WORDS[word]}
        return self.of(word) if hasattr(self.classes.get(word), "_attribute_map") else {}


def or_null(schema):
    """Azure sends null for what it leaves out, and its client takes it so. Beside a reference nothing else counts."""
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "object", "maxProperties": 0, "nullable": True}]}
    # Without a type it may be anything, and a checker that read `nullable` there would take the whole document for nonsense.
    return {**schema, "nullable": True} if "type" in schema else schema
