#!/bin/sh
# Calls k3sup as its README does (rehearsal/bench/peer_tool.py): `install` on the first server, `join --server` on
# the others one after another, `join` on all agents in parallel. K3SUP: its binary.
set -eu
: "${K3SUP:?the path of the k3sup binary}"
login="--user $PEER_USER --ssh-key $PEER_KEY --k3s-version $PEER_VERSION"

# shellcheck disable=SC2086  # options are split at blanks
set -- $PEER_SERVERS
first=${1#*=} cluster=''
[ $# -eq 1 ] || cluster=--cluster
if [ ! -e kubeconfig ]; then
    # shellcheck disable=SC2086
    "$K3SUP" install --ip "$first" $login $cluster --k3s-extra-args "--node-name ${1%%=*} --disable traefik"
fi
"$K3SUP" node-token --ip "$first" --user "$PEER_USER" --ssh-key "$PEER_KEY" >token
shift
for server; do
    # shellcheck disable=SC2086
    "$K3SUP" join --server --ip "${server#*=}" --server-ip "$first" --node-token-path token $login \
        --k3s-extra-args "--node-name ${server%%=*} --disable traefik"
done
running=''
for agent in $PEER_AGENTS; do
    # shellcheck disable=SC2086
    "$K3SUP" join --ip "${agent#*=}" --server-ip "$first" --node-token-path token $login \
        --k3s-extra-args "--node-name ${agent%%=*}" &
    running="$running $!"
done
for process in $running; do wait "$process"; done
