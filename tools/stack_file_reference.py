"""Writes docs/reference/stack-file.md from the JSON Schema of stack files.

`python -m tools.stack_file_reference` writes the page; `make reference` calls it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from k3sgpu.settings.config_keys import NAMESPACE
from k3sgpu.settings.schema import stack_schema

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/stack-file.md"
Schema = Mapping[str, Any]

COMPUTED = {
    "K3s.mirror": "k3s's releases on GitHub; with `airGap` the folder on the hosts",
    "K3s.installScriptUrl": "install.sh of the release's tag on GitHub; with a `file://` mirror its own",
    "GpuOperator.repository": "NVIDIA's, for a chart given by name",
    "Workload.namespace": "the team's; without a team `default`",
    "Workload.image": "vectoradd for a Job, dcgmproftester for a Deployment",
    "Workload.command": "the image's own; for dcgmproftester the one that it needs",
    "Workload.args": "the image's own; for dcgmproftester the ones that it needs",
    "Workload.securityContext": "SYS_ADMIN for dcgmproftester, otherwise nothing",
    "Sharing.profiles": "the profile `none`",
}
"""By model and key: what a default that depends on other keys is."""

ON_A_LIVING_CLUSTER = {
    "K3s.version": "upgrades: servers one at a time, then agents",
    "K3s.clusterCidr": "refused",
    "K3s.serviceCidr": "refused",
    "K3s.flannelBackend": "refused",
    "K3s.secretsEncryption": "refused",
    "K3s.kubeletArgs": "restarts the nodes it concerns",
    "Pool.kubeletArgs": "restarts the nodes it concerns",
    "Host.kubeletArgs": "restarts the nodes it concerns",
    "Pool.flannelIface": "restarts the nodes it concerns",
    "Host.flannelIface": "restarts the nodes it concerns",
    "K3s.registries": "restarts every node",
    "K3s.proxy": "restarts every node",
    "K3s.snapshots": "restarts servers",
    "K3s.config": "restarts servers if only servers read the key, otherwise every node",
    "K3s.initialServer": "allowed: restarts no other server",
    "K3s.generation": "checks and converges every host again",
    "Pool.role": "refused: remove the host, run `up`, add it again",
    "Pool.labels": "changes the Nodes, restarts nothing",
    "Host.labels": "changes the Nodes, restarts nothing",
    "Pool.taints": "changes the Nodes, restarts nothing",
    "Host.taints": "changes the Nodes, restarts nothing",
    "Pool.gpu": "see [changing the sharing](../guides/sharing.md#change-the-sharing)",
    "Sharing.profiles": "see [changing the sharing](../guides/sharing.md#change-the-sharing)",
    "GpuOperator.version": "one major release at a time; other steps are refused",
    "GpuOperator.enabled": "`false` removes the operator in order",
    "Host.gone": "see [a machine is dead](../guides/operations.md#a-machine-is-dead)",
}
"""By model and key: what a change does to a running cluster, where that is documented."""

HEAD = """\
# Stack file

Written by `make reference` from the program's models; do not edit. A stack file is `Pulumi.<stack>.yaml`. Its
keys stand below `config:` with the prefix `k3s-gpu-sharing:`. The program refuses unknown keys, and reports
all mistakes of a file at once. Exactly one of `k3s` and `kubeconfig` must be there.

"**required**" in the column "default" marks keys that must be written; "–" means that leaving the key out
switches it off, or leaves the choice to k3s, Kubernetes or NVIDIA. The column "on a living cluster" says
what a change does; an empty cell means that nothing special is known.
"""


def page() -> str:
    """The whole page as Markdown."""
    schema = stack_schema()
    config, definitions = schema["properties"]["config"], schema["definitions"]
    keys = {name.removeprefix(NAMESPACE): field for name, field in config["properties"].items()}
    secrets = {name: field for name, field in keys.items() if _is_secret(field)}
    sections = {name: field for name, field in keys.items() if name not in secrets}
    required = {name.removeprefix(NAMESPACE) for name in config["required"]}
    parts = [HEAD, "## Top level\n\n" + _table("", sections, required)]
    parts.append("## Secrets\n\n" + _secrets(secrets))
    for name, path in _models(sections, definitions).items():
        parts.append(_section(name, path, definitions[name]))
    return "\n".join(parts)


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page())


def _section(name: str, path: str, model: Schema) -> str:
    table = _table(name, model["properties"], set(model.get("required", ())))
    return f"## {title(name)}\n\n`{path}`: {_sentence(model.get('description', ''))}\n\n{table}"


def _table(model: str, fields: Schema, required: set[str]) -> str:
    rows = ["| key | type | default | example | meaning | on a living cluster |", "|---|---|---|---|---|---|"]
    for key, field in fields.items():
        place = f"{model}.{key}"
        cells = [
            f"`{key}`",
            kind(field),
            "**required**" if key in required else _default(place, field),
            _example(field),
            field.get("description", ""),
            ON_A_LIVING_CLUSTER.get(place, ""),
        ]
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _secrets(secrets: Schema) -> str:
    intro = (
        "Write them with `pulumi config set --secret KEY < FILE`; Pulumi encrypts them. "
        "[Secrets](../guides/machines-and-ssh.md#secrets) says where they go.\n\n"
    )
    return intro + "".join(f"- `{name}`\n" for name in secrets)


def kind(field: Schema) -> str:
    """The type of a field in words, with links to the models it refers to."""
    if references := field.get("allOf"):
        return kind(references[0])
    if reference := field.get("$ref"):
        return _link(reference)
    if choices := field.get("anyOf"):
        return " or ".join(dict.fromkeys(kind(choice) for choice in choices))
    if "const" in field:
        return f"`{_flow(field['const'])}`"
    if values := field.get("enum"):
        return ", ".join(f"`{_flow(value)}`" for value in values)
    types = field.get("type", "any")
    if isinstance(types, list):
        return " or ".join(kind({"type": one}) for one in types)
    if types == "array":
        return f"list of {kind(field.get('items', {}))}"
    if types == "object":
        return _mapping(field)
    if types == "integer":
        return f"integer{_range(field)}"
    return {"string": "text", "boolean": "`true`, `false`", "any": "any value"}[types]


def title(name: str) -> str:
    """A model's heading: `SnapshotStore` is "Snapshot store"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).capitalize()


def _mapping(field: Schema) -> str:
    inner = [*field.get("patternProperties", {}).values()]
    if isinstance(more := field.get("additionalProperties"), Mapping):
        inner.append(more)
    return f"mapping to {kind(inner[0])}" if inner else "mapping"


def _range(field: Schema) -> str:
    least, most = field.get("minimum"), field.get("maximum")
    if least is None and most is None:
        return ""
    if most is None or most > 2**53:
        return f", at least {least}"
    return f", {least} to {most}"


def _link(reference: str) -> str:
    name = reference.rpartition("/")[2]
    return (
        "any value" if name == "JsonValue" else f"[{title(name)}](#{title(name).lower().replace(' ', '-')})"
    )


def _models(sections: Schema, definitions: Schema) -> dict[str, str]:
    """By name of a model: its path in the file, in the order in which a reader meets them."""
    found: dict[str, str] = {}
    for key, field in sections.items():
        for name, path in _references(field, key):
            _collect(name, path, definitions, found)
    return found


def _collect(name: str, path: str, definitions: Schema, found: dict[str, str]) -> None:
    if name in found or "properties" not in definitions[name]:
        return
    found[name] = path
    for key, field in definitions[name]["properties"].items():
        for inner, place in _references(field, f"{path}.{key}"):
            _collect(inner, place, definitions, found)


def _references(field: Any, path: str) -> Iterator[tuple[str, str]]:
    """Models that a field refers to, with their paths; NAME stands for a mapping's key, [] for a list."""
    if isinstance(field, list):
        for item in field:
            yield from _references(item, path)
    elif isinstance(field, Mapping):
        if reference := field.get("$ref"):
            yield reference.rpartition("/")[2], path
        for key, value in field.items():
            if key in ("allOf", "anyOf"):
                yield from _references(value, path)
            elif key == "items":
                yield from _references(value, f"{path}[]")
            elif key == "additionalProperties":
                yield from _references(value, f"{path}.NAME")
            elif key == "patternProperties":
                yield from _references(list(value.values()), f"{path}.NAME")


def _default(place: str, field: Schema) -> str:
    if place in COMPUTED:
        return COMPUTED[place]
    default = field.get("default")
    if isinstance(default, Mapping) and (field.get("allOf") or field.get("anyOf")):
        return "its keys' defaults"
    return "–" if default is None else f"`{_flow(default)}`"


def _example(field: Schema) -> str:
    examples = field.get("examples", [])
    return f"`{_flow(examples[0])}`" if examples else ""


def _flow(value: Any) -> str:
    """A value as one line of YAML."""
    if isinstance(value, str):
        return value if value else '""'
    if not isinstance(value, (list, Mapping)):
        return json.dumps(value)
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.strip()


def _is_secret(field: Schema) -> bool:
    return "secure" in field.get("properties", {})


def _sentence(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    main()
