"""Where settings come from: flags, the environment and the file, each brought into the file's own words."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from devteam.mesh.tls import CA_FILE, CERT_FILE, KEY_FILE
from devteam.mesh.validation import Violations

Layer = dict[str, Any]

DEFAULT_QUEUE = "default"

_NOT_FOR_FILES = "apiKey"
# Said of 0, which in a file stands for what the queues say.
_NO_SLOTS = "must be greater than or equal to 1"

# pydantic's words, and those of the file.
_WORDING = {"Input should be": "must be", "tuple": "list", "dictionary": "mapping"}
_CLASS_NAME = re.compile(r" or instance of \w+")

# Paths in the worker's settings that a variable of the environment sets.
ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "DEVTEAM_API_URL": ("apiUrl",),
    "DEVTEAM_API_KEY": ("apiKey",),
    CA_FILE: ("caFile",),
    CERT_FILE: ("certFile",),
    KEY_FILE: ("keyFile",),
    "DEVTEAM_QUEUE": ("queue",),
    "DEVTEAM_CONCURRENCY": ("concurrency",),
    "DEVTEAM_WEIGHT": ("weight",),
    "DEVTEAM_WORKER_ID": ("id",),
    "DEVTEAM_MODELS": ("models",),
    "DEVTEAM_PROVIDER": ("provider",),
    "DEVTEAM_LOG_LEVEL": ("logLevel",),
    "DEVTEAM_METRICS_PORT": ("metricsPort",),
    "DEVTEAM_METRICS_INSECURE": ("metricsInsecure",),
    "DEVTEAM_METRICS_HOST": ("metricsHost",),
    "DEVTEAM_LABELS": ("labels",),
    "DEVTEAM_DATA_SOURCES": ("dataSources",),
    "DEVTEAM_DRAIN_DEADLINE_MS": ("drainDeadlineMs",),
    "DEVTEAM_REGION": ("location", "region"),
    "DEVTEAM_ZONE": ("location", "zone"),
    "DEVTEAM_HOST": ("location", "host"),
    "ANTHROPIC_BASE_URL": ("anthropic", "baseUrl"),
    "OLLAMA_HOST": ("ollama", "host"),
    "OPENAI_BASE_URL": ("openai", "baseUrl"),
}


def file_layer(model: type[BaseModel], content: Mapping[Any, Any], found: Violations) -> Layer:
    """What stands under `worker:`. Notes unknown keys, and the API key, which is a secret."""
    for key in content:
        if key != "worker":
            found.add(str(key), "UNKNOWN_KEY", _unknown(str(key), ["worker"]))
    worker = content.get("worker")
    if worker is None:
        return {}
    if not isinstance(worker, Mapping):
        found.add("worker", "INVALID_VALUE", "must be a mapping")
        return {}
    with found.at("worker"):
        layer = _in_file_words(model, worker, found)
        if layer.pop(_NOT_FOR_FILES, None) is not None:
            found.add(
                _NOT_FOR_FILES, "SECRET_IN_FILE", "is a secret and does not belong in a file; set DEVTEAM_API_KEY"
            )
    return layer


def environment_layer(environ: Mapping[str, str], found: Violations) -> Layer:
    """What the environment sets; an empty variable sets nothing. Notes labels of the wrong form, and no slots."""
    layer: Layer = {}
    for name, path in ENVIRONMENT.items():
        if text := environ.get(name, "").strip():
            section = layer
            for key in path[:-1]:
                section = section.setdefault(key, {})
            section[path[-1]] = _meant(name, text, found)
    return _with_named_queues(layer)


def _meant(name: str, text: str, found: Violations) -> object:
    """What the text of a variable stands for; a single value is left as it is."""
    match name:
        case "DEVTEAM_CONCURRENCY" if not text.strip("0"):
            found.add(name, "INVALID_VALUE", _NO_SLOTS)
        case "DEVTEAM_LABELS":
            pairs = [part.partition("=") for part in _names(text)]
            if not all(key and mark for key, mark, _ in pairs):
                found.add(name, "INVALID_VALUE", "must be of the form name=value,name=value")
                return {}
            return {key.strip(): value.strip() for key, _, value in pairs}
        case "DEVTEAM_DATA_SOURCES":
            pairs = [part.partition("=") for part in _names(text)]
            return [{"name": key, **({"path": path} if path else {})} for key, _, path in pairs]
    return text


def flag_layer(model: type[BaseModel], flags: Mapping[str, object], found: Violations) -> Layer:
    """What flags set, by the settings' names in either spelling; None and empty values set nothing. Notes no slots."""
    if flags.get("concurrency") == 0:
        found.add("concurrency", "INVALID_VALUE", _NO_SLOTS)
    given = {name: value for name, value in flags.items() if value not in (None, "", (), [])}
    named: Layer = {name: given.pop(name) for name in ("queue", "models") if name in given}
    return _with_named_queues({**_in_file_words(model, given, found), **named})


def origins(environ: Mapping[str, str], flags: Layer) -> dict[tuple[str | int, ...], str]:
    """Names of the variables that decide a setting, by the setting's path."""
    return {path: name for name, path in ENVIRONMENT.items() if environ.get(name, "").strip() and path[0] not in flags}


def named_queues(data: Mapping[str, Any]) -> Layer:
    """All layers as one, with the names of queues and models turned into queues as the file has them."""
    merged = dict(data)
    names, models = merged.pop("queueNames", ()), merged.pop("modelNames", ())
    slots_for_each = merged.pop("slotsForEach", False)
    queues = merged.get("queues") or [{"name": DEFAULT_QUEUE}]
    if not isinstance(queues, list):
        return merged
    if names:
        # A concurrency of 0 means the worker's, which is the one that was given.
        slots = {"concurrency": 0} if slots_for_each else {}
        queues = [{**_declared(queues, name), **slots} for name in names]
    if models:
        queues = [{**queue, "models": models} if isinstance(queue, Mapping) else queue for queue in queues]
    return {**merged, "queues": queues}


def _declared(queues: list[Any], name: str) -> Mapping[str, Any]:
    named = (queue for queue in queues if isinstance(queue, Mapping) and queue.get("name") == name)
    return next(named, {"name": name})


def note_errors(error: ValidationError, origin: Mapping[tuple[str | int, ...], str], found: Violations) -> None:
    """What pydantic found wrong, by the path in the file or by the name of the variable."""
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        place = origin.get(item["loc"]) or _path(item["loc"])
        message = _CLASS_NAME.sub("", item["msg"].removeprefix("Value error, "))
        for theirs, ours in _WORDING.items():
            message = message.replace(theirs, ours)
        found.add(place, "INVALID_VALUE", message[:1].lower() + message[1:])


def _path(loc: tuple[str | int, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return "worker" + "".join(parts)


def _with_named_queues(layer: Layer) -> Layer:
    """Names of queues and models, kept apart until all layers are known; a concurrency holds for each named queue."""
    if queue := layer.pop("queue", None):
        layer["queueNames"] = _names(queue)
    if models := layer.pop("models", None):
        layer["modelNames"] = _names(models)
    if "concurrency" in layer:
        layer["slotsForEach"] = True
    return layer


def _names(value: object) -> list[str]:
    texts = value.split(",") if isinstance(value, str) else value if isinstance(value, Sequence) else [value]
    return [str(text).strip() for text in texts if str(text).strip()]


def _in_file_words(model: type[BaseModel], data: Mapping[Any, Any], found: Violations) -> Layer:
    """The same mapping with the file's keys; notes those that `model` does not know, or knows by two names."""
    words = {name: field.alias or name for name, field in model.model_fields.items()}
    known = {**words, **{alias: alias for alias in words.values()}}
    annotations = {words[name]: field.annotation for name, field in model.model_fields.items()}
    layer: Layer = {}
    for key, value in data.items():
        word = known.get(key) if isinstance(key, str) else None
        if word is None:
            found.add(
                str(key), "UNKNOWN_KEY", _unknown(str(key), [word for word in annotations if word != _NOT_FOR_FILES])
            )
        elif word in layer:
            found.add(str(key), "DUPLICATE_KEY", "is given twice, in two spellings")
        else:
            layer[word] = _value_in_file_words(annotations[word], word, value, found)
    return layer


def _value_in_file_words(annotation: Any, word: str, value: Any, found: Violations) -> Any:
    """Sections, alone, in a list or by name, with the file's keys; whatever else it is, as it is."""
    kind, arguments = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        return _value_in_file_words(arguments[0], word, value, found)
    if kind is tuple and isinstance(value, list):
        entry = arguments[0]
        return [_value_in_file_words(entry, f"{word}[{index}]", item, found) for index, item in enumerate(value)]
    if kind is dict and isinstance(value, Mapping):
        with found.at(word):
            return {key: _value_in_file_words(arguments[1], str(key), item, found) for key, item in value.items()}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and isinstance(value, Mapping):
        with found.at(word):
            return _in_file_words(annotation, value, found)
    return value


def _unknown(key: str, known: Sequence[str]) -> str:
    words = {word.lower(): word for word in known}
    close = difflib.get_close_matches(key.lower(), list(words), n=1)
    return f"unknown key; did you mean {words[close[0]]}?" if close else f"unknown key; known are {', '.join(known)}"
