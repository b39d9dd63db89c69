"""k3s's kubeconfig: the server's address in it, and the end of its certificate."""

import base64
from datetime import UTC, datetime, timedelta

import yaml
from cryptography import x509

from k3sgpu.wellknown import API_PORT

# k3s's client certificates last a year.
WARN_BEFORE = timedelta(days=60)


def kubeconfig_for(text: str, address: str, cluster: str) -> str:
    """k3s's kubeconfig with the server's address instead of the loopback one, its entries named `cluster`.

    Raises ValueError when `text` is no kubeconfig, without quoting it.
    """
    try:
        config = yaml.safe_load(text)
        config["clusters"][0]["cluster"]["server"] = f"https://{address}:{API_PORT}"
        context = config["contexts"][0]
        config["clusters"][0]["name"] = config["users"][0]["name"] = context["name"] = cluster
        context["context"].update(cluster=cluster, user=cluster)
    except (yaml.YAMLError, TypeError, KeyError, IndexError, AttributeError):
        raise ValueError("/etc/rancher/k3s/k3s.yaml on the server is not a kubeconfig") from None
    config["current-context"] = cluster
    return yaml.safe_dump(config, sort_keys=True)


def expiry_warning(kubeconfig: str, remedy: str, now: datetime | None = None) -> str | None:
    """A warning when a kubeconfig's client certificate ends within 60 days; None otherwise."""
    user = yaml.safe_load(kubeconfig)["users"][0]["user"]
    if "client-certificate-data" not in user:
        return None
    try:
        certificate = x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))
    except ValueError:  # no certificate: the first request to the cluster fails with a clear error
        return None
    ends = certificate.not_valid_after_utc
    if ends - (now or datetime.now(UTC)) > WARN_BEFORE:
        return None
    return f"the cluster's administrator certificate ends on {ends:%Y-%m-%d}. {remedy}"
