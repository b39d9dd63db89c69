"""Stack files whose keys about an adopted operator contradict each other."""

from tests.data.stack_files import Refusal

FOUND = {"release": "gpu-operator-1665737174", "version": "v26.7.0", "adopted": True}
VALUES = {"driver": {"enabled": False}, "toolkit": {"enabled": False}}
OPERATOR = {"gpuOperator": {**FOUND, "values": VALUES}}


def sharing(keys: dict[str, str]) -> dict[str, object]:
    """Changes that adopt the operator, and a sharing with these keys."""
    names = {"configMap": "time-slicing-config", "default": "shared", "keys": keys}
    return {**OPERATOR, "sharing/adopted": names}


REFUSALS: dict[str, Refusal] = {
    "an adopted operator without its release": (
        {"gpuOperator": {"version": "v26.7.0", "adopted": True, "values": VALUES}},
        "gpuOperator.release",
        "nothing",
        "the release that was installed by hand",
        "helm list",
    ),
    "an adopted operator with another driver": (
        {"gpuOperator": {**FOUND, "values": {"toolkit": {"enabled": False}}}},
        "gpuOperator.driver",
        "host, beside adopted: true and values by which the driver comes from the operator",
        "keeps its values",
        "write driver: operator",
    ),
    "an adopted operator whose CRDs would be removed": (
        {"gpuOperator": {**FOUND, "values": VALUES, "removeCrds": True}},
        "gpuOperator.removeCrds",
        "true, beside adopted: true",
        "leave the CRDs",
        "remove removeCrds",
    ),
    "an adopted sharing without an adopted operator": (
        {"sharing/adopted": {"configMap": "time-slicing-config", "default": ""}},
        "sharing.adopted",
        "without gpuOperator.adopted: true",
        "both, or none",
        "remove sharing.adopted",
    ),
    "a key that stands for two profiles": (
        sharing({"a-00000000": "x", "b-00000000": "x"}),
        "sharing.adopted.keys.b-00000000",
        "x, as for a-00000000",
        "a key of its own",
        "remove one of the two",
    ),
    "the key none of a profile": (
        sharing({"a-00000000": "none"}),
        "sharing.adopted.keys.a-00000000",
        "none",
        "another key",
        "another key in the ConfigMap",
    ),
    "a default of another profile": (
        sharing({"a-00000000": "shared"}),
        "sharing.adopted.keys.a-00000000",
        "sharing.default: none",
        "sharing.default: a",
        "write sharing.default: a",
    ),
    "partitions of an adopted operator": (
        {
            **OPERATOR,
            "pools/rtx/gpu": {"product": "NVIDIA-A100-SXM4-40GB", "count": 1, "memoryMiB": 40960,
                              "mig": {"1g.5gb": 7}, "profile": "cut"},
            "sharing/profiles/cut": {"migStrategy": "mixed"},
            "workloads": {},
        },
        "pools.rtx.gpu.profile",
        '"single" as mig.strategy',
        'mig: {strategy: ""}',
        "remove gpuOperator.adopted",
    ),
}  # fmt: skip

WARNINGS: dict[str, Refusal] = {
    "an open toolkit of an adopted operator": (
        {"gpuOperator": {**FOUND, "toolkit": "operator", "values": {"driver": {"enabled": False}}}},
        "gpuOperator.adopted",
        "does not close the toolkit",
        "cards for pods with a slice only",
        "remove gpuOperator.adopted at a time",
    ),
}
