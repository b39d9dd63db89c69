"""By place: values of the fields of the operator, the sharing and the workloads."""

from collections.abc import Mapping

from tests.data.field_values.values import BLANKS, HASH, NAMES, URLS, Values

VALUES: Mapping[str, Values] = {
    "gpuOperator/version": Values(("v26.7.0",), ("v26.7.0\n", "v٢٦.٧.0", "26.7.0", "v26.7", "v26.7.0-rc1")),
    "gpuOperator/chart": Values(
        (
            "gpu-operator",
            "nvidia/gpu-operator",
            "./chart dir",
            "../a",
            "/a/b.tgz",
            "oci://r.example/c",
            "https://r/c.tgz",
        ),
        (
            "",
            "a b",
            "a\n",
            "oci://me:pw@r/c",
            "https://tok@r/c.tgz",
            "oci://",
            "http://r/c",
            "./a\0b",
            "ä",
            "--set=x",
        ),
    ),
    "gpuOperator/repository": Values(
        ("https://charts.example.org/nvidia/",), (*URLS, "https://m/a?b=c", "http://m")
    ),
    "gpuOperator/timeoutSeconds": Values((1, 86400), (0, 86401, 10**30)),
    "gpuOperator/readyTimeoutSeconds": Values((1, 86400), (0, 86401, 10**15)),
    "sharing/default": Values(("none", "six"), ("", "six\n", "a b")),
    "sharing/profiles": Values(
        ({"a.b": {}},), ({"none": {}}, {"a\n": {}}, {"ä": {}}, {"a" * 55: {}}, {"": {}})
    ),
    "workloads/w/image": Values(
        (
            *(
                "nvcr.io/nvidia/cuda:12.4.1-base",
                "ubuntu",
                "a/b__c/d-e.f",
                "localhost/a",
                "localhost:5000/a:b",
                "r:5000/a",
            ),
            *(f"a@sha256:{HASH}", f"NVCR.io/a:B@sha256:{HASH}", "a:" + "b" * 128),
        ),
        (
            *BLANKS,
            *(
                "nvcr.io/x y",
                "NVCR.io/Foo/Bar:Baz",
                "Foo/bar",
                "nvcr.io/\u202eabc:1",
                "https://nvcr.io/a",
                "a:",
                "a:-b",
                "a@b",
            ),
            *(
                "a/",
                "/a",
                "a//b",
                "a..b",
                "a:b:c",
                "-a",
                "a:" + "b" * 129,
                f"a@sha256:{HASH[1:]}",
                "r:0/a",
                "ä",
                "me:pw@r/a",
            ),
        ),
        ("r.io/" + "a/" * 140 + "b",),
    ),
    "verify/image": Values(("a:1",), ("A:1", "a b", "")),
    "verify/timeoutSeconds": Values((86400,), (86401,)),
    "workloads/w/command": Values(
        (["/bin/sh", "-c", ""], ["päth\t\n"]),
        (["a\0"], ["a\rb"], ["a\x1b"], ["\ud800"], ["psql postgres://u:pw@db/x"]),
    ),
    "workloads/w/args": Values(
        (
            ["for i in 1 2; do\n  echo $i\ndone\n"],
            ["psql postgres://u:$(PW)@db/x"],
            ["token = get()"],
            ["😀"],
        ),
        (["a\0b"], ["a\x85b"], ["curl https://x/?token=abc"], ["-----BEGIN RSA PRIVATE KEY-----\nAB"]),
    ),
    "workloads/w/env": Values(
        (
            {"A": ""},
            {"URL": "postgres://k3s@10.0.0.9:5432/k3s", "NPM": "http://reg:4873/@scope/pkg"},
            {
                "MAX_TOKENS": "5",
                "AUTHOR": "a",
                "PWD": "/",
                "POSTGRES_PASSWORD_FILE": "/run/x",
                "REQUIRE_AUTH": "true",
            },
            {
                "A": "--max-tokens=5 --eos-token </s> --token=$TOKEN --use-token=false",
                "B": "--password-file=/run/x --ServerApp.token='' --password \"\"",
                "REGEX_PAT": "a",
                "DOCKER_CONFIG": "/run/x",
            },
            {
                "PUBLIC_KEY": "a",
                "TOKENIZERS_PARALLELISM": "false",
                "BYPASS": "1",
                "PYTHONPATH": "/a",
                "KEYBOARD": "de",
            },
        ),
        (
            *(
                {"A": value}
                for value in (
                    "a\0b",
                    "a\rb",
                    "\ud800",
                    "postgres://u:pw@db/x",
                    "redis://:pw@h",
                    "a://u:p/w@h",
                )
            ),
            *(
                {"A": f"x https://{text}"}
                for text in ("u:p@h", "h/?token=ab", "h/?a=b&api_key=ab", "ghp_abcdefghijklmnop@h")
            ),
            *({name: "a"} for name in ("", "1A", "A-B", "A B", "Ä", "A\n", "A=B")),
            *(
                {name: "a"}
                for name in ("PASS", "PGPASSWORD", "AUTH", "dbPassword", "apiKey", "DB_PASS", "MYSQL_PWD")
            ),
            *({name: "a"} for name in ("GITHUB_PAT", "SSHPASS", "BEARER", "DOCKER_CONFIG_JSON")),
            *(
                {"A": value}
                for value in ("serve --password=ab", "--ServerApp.token=ab", "sh -c '--api-key=\"ab\"'")
            ),
            *(
                {name: "a"}
                for name in (
                    "HF_TOKEN",
                    "authToken",
                    "AWS_SECRET_ACCESS_KEY",
                    "privateKey",
                    "JWT",
                    "password",
                )
            ),
        ),
    ),
    "workloads/w/secretEnv": Values(
        ({"HF_TOKEN": {"name": "hub.a", "key": ".dockerconfigjson"}},),
        (
            *({"A": {"name": name, "key": "k"}} for name in ("a" * 254, "A", "a_b", "", "a\n", "-a", "a..b")),
            *(
                {"A": {"name": "n", "key": key}}
                for key in ("a" * 254, "", ".", "..", "..a", "a\n", "a b", "ä")
            ),
        ),
    ),
    "workloads/w/namespace": Values(("gpu-tests",), NAMES),
    "workloads/w/resource": Values(
        ("nvidia.com/gpu", "nvidia.com/mig-1g.5gb"),
        ("gpu", "nvidia.com/gpu\n", "nvidia.com/", "a/" + "b" * 64, "A/b"),
    ),
    "workloads/w/replicas": Values((0, 10000), (-1, 10001, 10**9, 10**18)),
    "workloads/w/gpus": Values((1, 32000), (0, 10**6)),
    "workloads/w/memoryMiB": Values((1, 80000), (0, 10**12)),
    "workloads/w/completions": Values((1, 2**31 - 1), (0, 2**31)),
    "workloads/w/parallelism": Values((1, 10000), (0, 10**9)),
    "workloads/w/retries": Values((0, 2**31 - 1), (-1, 2**31, 10**12)),
    "workloads/w/timeoutSeconds": Values((1, 86400), (0, 86401)),
    "workloads/w/securityContext": Values(
        (
            {"runAsUser": 2**31 - 1, "runAsGroup": 0},
            {"capabilities": {"add": ["SYS_ADMIN"], "drop": ["ALL"]}},
        ),
        (
            {"runAsUser": 2**31},
            {"runAsGroup": 10**15},
            *(
                {"capabilities": {"add": [name]}}
                for name in ("FOO_BAR", "CAP_SYS_ADMIN", "sys_admin", "", "SYS_ADMIN\n")
            ),
        ),
    ),
    "workloads/w/nodeSelector": Values(({"a": "b"},), ({"a": "b\n"}, {"a" * 64: "b"})),
}
