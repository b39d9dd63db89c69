# Sets labels and taints of running Nodes to what the stack file says, on the initial server, after all nodes have
# joined: k3s reads its own labels and taints only when a Node registers, and no node may change its own taints.
# Only keys that this program has set are changed. Annotations of the Node record them, so that a lost state leaves
# no orphans; another annotation records the machine's host key, which delete-node.sh compares.
#
# Set in front: HOST        this server
#               WANTED      lines NODE|KEY=VALUE,…|KEY=VALUE:EFFECT,…|HOST KEY
#               GENERATION  a number; another one makes the engine run this again

# shellcheck source=/dev/null
. ./timeouts.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/cluster.sh
. ./parts/cluster.sh

: "generation $GENERATION"

current=$(kubectl get nodes --output 'jsonpath={range .items[*]}{.metadata.name}|{.metadata.annotations.k3s-gpu-sharing/labels}|{.metadata.annotations.k3s-gpu-sharing/taints}|{.metadata.annotations.k3s-gpu-sharing/host-key}|{range .spec.taints[*]}{.key}={.value}:{.effect},{end}|{.metadata.labels}{"\n"}{end}') ||
    fail_unanswered "no label and no taint was changed"

# The differences, as lines NODE|PATCH|TAINTS FOR KUBECTL; only NODE for one that does not exist.
changes=$({ printf '%s\n' "$current" && echo && printf '%s\n' "$WANTED"; } | awk -F '|' '
    function quoted(text) { return "\"" text "\"" }
    function key(pair) { sub(/=.*/, "", pair); return pair }
    # A taint is identified by its key and its effect.
    function kind(taint) { sub(/=[^:]*/, "", taint); return taint }
    function annotation(name, old, new) {
        if (old == new) return ""
        return quoted("k3s-gpu-sharing/" name) ":" (new == "" ? "null" : quoted(new)) ","
    }
    !wanted && NF { labels[$1] = $2; taints[$1] = $3; keys[$1] = $4; now[$1] = "," $5; all[$1] = $6; next }
    !wanted { wanted = 1; next }
    !($1 in now) { print $1 "||"; next }
    {
        patch = notes = commands = mine = kinds = ""
        count = split($2, pairs, ",")
        for (i = 1; i <= count; i++) {
            mine = mine "," key(pairs[i]) "="
            entry = quoted(key(pairs[i])) ":" quoted(substr(pairs[i], length(key(pairs[i])) + 2))
            if (!index(all[$1], entry)) patch = patch entry ","
        }
        count = split(labels[$1], pairs, ",")
        for (i = 1; i <= count; i++)
            if (!index(mine, "," key(pairs[i]) "=")) patch = patch quoted(key(pairs[i])) ":null,"
        count = split($3, pairs, ",")
        for (i = 1; i <= count; i++) {
            kinds = kinds "," kind(pairs[i]) ","
            if (!index(now[$1], "," pairs[i] ",")) commands = commands " " pairs[i]
        }
        count = split(taints[$1], pairs, ",")
        for (i = 1; i <= count; i++)
            if (!index(kinds, "," kind(pairs[i]) ",") && index(now[$1], "," pairs[i] ",")) commands = commands " " kind(pairs[i]) "-"
        notes = annotation("labels", labels[$1], $2) annotation("taints", taints[$1], $3) annotation("host-key", keys[$1], $4)
        if (patch notes commands == "") next
        sub(/,$/, "", patch)
        sub(/,$/, "", notes)
        print $1 "|{\"metadata\":{\"labels\":{" patch "},\"annotations\":{" notes "}}}|" commands
    }')

[ -n "$changes" ] || {
    echo "labels and taints are as they should be"
    exit 0
}
# change NODE PATCH TAINTS
change() {
    [ -n "$2" ] || HOST=$1 fail "no such node, so its labels and taints could not be set" \
        "raise k3s.generation in the stack file and run up; its k3s then registers it again"
    # shellcheck disable=SC2086 # each word is one taint
    [ -z "$3" ] || kubectl taint node "$1" --overwrite $3
    kubectl patch node "$1" --type merge --patch "$2"
}

# Ends with the changes in the background, and fails when one of them failed.
await_changes() {
    failed=
    for child in $children; do wait "$child" || failed=yes; done
    children=
    [ -z "$failed" ]
}

# Eight at a time: a kubectl takes a part of a second, and there may be hundreds of nodes.
printf '%s\n' "$changes" | {
    children=
    while IFS='|' read -r node patch taints; do
        change "$node" "$patch" "$taints" &
        children="$children $!"
        # shellcheck disable=SC2086 # each word is a process id
        set -- $children
        [ $# -lt 8 ] || await_changes || exit 1
    done
    await_changes
}
