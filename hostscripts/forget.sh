# Runs on the server after a host's k3s is gone: the Node, and with it the node's password. Set in front: HOST
k3s kubectl delete node "$HOST" --ignore-not-found --timeout=60s
