"""By place: values of the fields of the section `k3s`."""

from collections.abc import Mapping

from tests.data.field_values.values import HASH, HOSTS, URLS, Values

VALUES: Mapping[str, Values] = {
    "k3s/version": Values(
        ("v1.36.2+k3s1", "v1.36.12+k3s10"),
        (
            "v1.36.2+k3s1\n",
            "v١.٣٦.٢+k3s١",
            "1.36.2+k3s1",
            "v1.36.2",
            "v1.36.2+k3s1 ",
            "v1.36.2-k3s1",
            "v1.36.2+k3s1\0",
        ),
    ),
    "k3s/mirror": Values(
        (
            "https://m.example.org",
            "https://m.example.org:8443/k3s/releases",
            "file:///opt/release",
            "https://m/a%2Bb@c",
        ),
        (
            *URLS,
            "https://m/a/",
            "https://m/a?b=c",
            "file://opt/release",
            "file:///opt/release\n",
            "file:///opt/a b",
        ),
    ),
    "k3s/installScriptUrl": Values(
        (
            *(
                "https://m.example.org/k3s/install.sh",
                "file:///opt/install.sh",
                "https://m/install.sh?ref=v1",
            ),
            "https://get.k3s.io",
        ),
        (
            *URLS,
            "https://m/a?password=abc",
            "https://m/a?access_token=abc",
            "https://m/a?sig=ab",
            "https://m/a?key=ab",
        ),
    ),
    "k3s/installScriptSha256": Values(
        (HASH,), (HASH + "\n", HASH.upper(), HASH[1:], HASH[1:] + "g", HASH[1:] + "١")
    ),
    "k3s/binarySha256": Values(({"amd64": HASH},), ({"amd64": HASH + "\n"}, {"amd64\n": HASH})),
    "k3s/airGap": Values(("releases", "~/k3s releases"), ("https://m/a", "", "a\n", "a\0b")),
    "k3s/initialServer": Values(("server-1", "a.b"), ("Server", "a\n", "a" * 64, "-a", "a..b")),
    "k3s/registrationAddress": HOSTS._replace(
        refused=(
            *HOSTS.refused,
            "localhost",
            "a.localhost",
            "127.0.0.1",
            "0.0.0.0",
            "169.254.1.1",
            "224.0.0.1",
        )
    ),
    "k3s/tlsSan": Values(
        (["k3s.example.org", "10.0.0.1", "2001:db8::1", "localhost"],),
        (
            [""],
            ["https://k3s.example.org:6443"],
            ["k3s.exämple.org"],
            ["a\n"],
            ["a:6443"],
            ["10.0.0.999"],
            ["*.a"],
        ),
        ([":::"], ["1:2"], ["1::2::3"]),
    ),
    "k3s/clusterCidr": Values(
        ("10.42.0.0/16", "100.64.0.0/10", "198.18.0.0/15"),
        (
            "10.42.0.0",
            "10.42.0.0/7",
            "10.42.0.0/25",
            "10.42.0.0/255.255.0.0",
            "256.1.0.0/16",
            "10.42.0.0/16\n",
            "::/16",
        ),
        ("127.0.0.0/8", "0.0.0.0/8", "169.254.0.0/16", "169.0.0.0/8", "224.0.0.0/8", "240.0.0.0/8"),
    ),
    "k3s/serviceCidr": Values(
        ("10.43.0.0/16",), ("10.43.0.0/11", "10.43.0.0/29"), ("169.254.0.0/16", "127.0.0.0/16")
    ),
    "k3s/startTimeoutSeconds": Values((1, 86400), (0, 86401, 10**15, 10**30)),
    "k3s/drainTimeoutSeconds": Values((1, 86400), (0, 86401, 10**30)),
    "k3s/maxUnavailable": Values((1, 100), (0, 10**6)),
    "k3s/generation": Values((0, 20261130), (-1, 2**53)),
    "k3s/registries": Values(
        (
            {"mirrors": {"*": {"endpoints": ["http://m:5000"]}}},
            {
                "mirrors": {
                    "docker.io": {"endpoints": ["https://m/v2"], "rewrites": {"^library/(.*)": "docker/$1"}}
                }
            },
            {
                "mirrors": {
                    "10.0.0.5:5000": {"endpoints": ["https://m"], "rewrites": {r"(?i)[[:alpha:]]+\z": ""}}
                }
            },
            {
                "mirrors": {
                    "a": {"endpoints": ["https://m"], "rewrites": {r"a{1,3}?(?P<n>x|y)[^]a-]*\.\pL": "b/$1"}}
                }
            },
            {"tls": {"m:5000": {"caFile": "/etc/ssl/ca.pem"}}},
        ),
        (
            *({"mirrors": {"a": {"endpoints": [url]}}} for url in URLS),
            *(
                {"mirrors": {name: {"endpoints": ["https://m"]}}}
                for name in ("", "a b", "a\n", "https://a", "a:0", "a/b")
            ),
            *(
                {"tls": {"m": {"caFile": path}}}
                for path in ("ca.pem", "/a\n", "/a b", "/", "/a/", "/a\0", "")
            ),
            {"mirrors": {"a": {"endpoints": ["https://m"], "rewrites": {"a": "b\n"}}}},
        ),
        tuple(
            {"mirrors": {"a": {"endpoints": ["https://m"], "rewrites": {pattern: "x"}}}}
            for pattern in (
                "^a/((.*)",
                "(?=a)",
                "(?<!a)b",
                r"(a)\1",
                "a**",
                "a++",
                "a{1001}",
                r"a\Z",
                "[b-a]",
                "(?>a)",
                "*",
            )
        ),
    ),
    "k3s/proxy": Values(
        (
            {
                "http": "http://proxy:3128",
                "noProxy": [".example.org", "10.0.0.0/8", "a.b:80", "*.c", "*", "::1"],
            },
            {"https": "https://me@proxy.example.org:65535"},
        ),
        (
            *(
                {"http": url}
                for url in (
                    *(
                        "http://proxy:0",
                        "http://proxy:65536",
                        "http://proxy",
                        "proxy:3128",
                        "http://proxy:3128\n",
                    ),
                    *(
                        "http://me:pw@proxy:3128",
                        "me:pw@proxy:3128",
                        "http://me:p@w@proxy:1",
                        "http://me:p/w@proxy:1",
                    ),
                    *(
                        "http://proxy:3128/a",
                        "socks5://proxy:1",
                        "http://pröxy:1",
                        "http://proxy:٣",
                        "http://10.0.0.999:1",
                    ),
                )
            ),
            *({"noProxy": [name]} for name in ("", "a b", "a,b", "a\n", "http://a", "10.0.0.0/33", "a:0")),
        ),
    ),
    "k3s/snapshots": Values(
        (
            {"schedule": "0 */6 * * *"},
            {"schedule": "@daily"},
            {"schedule": "@every 6h30m"},
            {"schedule": "0,30 8-18/2 1-7 JAN-mar MON"},
            {"schedule": "0 0 31 1,2 *"},
            {"schedule": "0 0 31 2 1"},
            {
                "s3": {
                    "bucket": "k3s.lab-1",
                    "endpoint": "s3.example.org:9000",
                    "region": "RegionOne",
                    "folder": "lab/a",
                }
            },
        ),
        (
            *(
                {"schedule": text}
                for text in (
                    *(
                        "a b c d e",
                        "60 * * * *",
                        "* 24 * * *",
                        "* * 0 * *",
                        "* * * 13 *",
                        "* * * * 7",
                        "* * * *",
                    ),
                    *(
                        "* * * * * *",
                        "*  * * * *",
                        "@reboot",
                        "@every",
                        "@every 0h",
                        "0 0 * * *\n",
                        "٠ 0 * * *",
                        "-1 * * * *",
                    ),
                )
            ),
            *(
                {"s3": {"bucket": "k3s", key: value}}
                for key, value in (
                    *(
                        ("endpoint", url)
                        for url in ("https://s3.example.org", "s3.example.org\n", "a:0", "me:pw@a", "", "a/b")
                    ),
                    *(("region", text) for text in ("", "a b", "a\n", "ä", "-a")),
                    *(("folder", text) for text in ("", "/a", "a/", "a//b", "../a", "a b", "a\n", "ä")),
                )
            ),
            *(
                {"s3": {"bucket": name}}
                for name in ("ab", "A" * 5, "a_b", "a..b", "10.0.0.1", "-ab", "ab-", "a" * 64, "abc\n")
            ),
            {"retention": 10**9},
            {"retention": 0},
        ),
        (
            {"schedule": "9-5 * * * *"},
            {"schedule": "*/0 * * * *"},
            {"schedule": "0 0 31 2 *"},
            {"schedule": "0 0 30 feb *"},
        ),
    ),
}
