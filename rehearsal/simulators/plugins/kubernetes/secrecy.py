"""Objects in the state: the live object and its inputs, with the inputs' secrets kept secret."""

from __future__ import annotations

from typing import Any

from rehearsal.simulators.plugins.values import Secret, has_secret, plain

INPUTS = "__inputs"
MANAGER = "__fieldManager"
INITIAL_VERSION = "__initialApiVersion"


def annotated(outputs: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """`outputs` with those values secret whose inputs of the same name are, or hold something that is.

    Objects are compared inside, so that one secret does not hide everything around it.
    """
    result = {}
    for key, value in outputs.items():
        source = inputs.get(key)
        if isinstance(value, dict) and isinstance(source, dict):
            result[key] = annotated(value, source)
        elif not isinstance(value, Secret) and has_secret(source):
            result[key] = Secret(value)
        else:
            result[key] = value
    return result


def checkpoint(live: dict[str, Any], inputs: dict[str, Any], manager: str) -> dict[str, Any]:
    """The state of a resource; `inputs` still carry their secrets."""
    state = annotated(live, inputs)
    state[INPUTS] = inputs
    state[INITIAL_VERSION] = plain(inputs).get("apiVersion", live.get("apiVersion"))
    state[MANAGER] = manager
    return state


def parted(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The inputs and the live object of a state, plain."""
    values = plain(state)
    inputs = values.pop(INPUTS, {})
    live = {key: value for key, value in values.items() if key not in (MANAGER, INITIAL_VERSION)}
    return inputs, live


def pruned(source: Any, target: Any) -> Any:
    """`source` reduced to the shape of `target`: what the program asked for, with the values it has."""
    if isinstance(source, dict) and isinstance(target, dict):
        return {key: pruned(value, target[key]) for key, value in source.items() if key in target}
    if isinstance(source, list) and isinstance(target, list):
        return [pruned(value, wanted) for value, wanted in zip(source, target, strict=False)]
    return source
