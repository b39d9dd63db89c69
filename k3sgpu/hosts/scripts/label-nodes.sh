# Labels and taints of live nodes as the stack file has them. Runs on the initial server once all nodes have joined:
# k3s reads its own labels and taints when a Node registers, and no node may change its own taints. Touched are only
# keys that this program has set; annotations of the Node remember them, so that no lost state makes orphans, and the
# host key of its machine, by which forget.sh knows another one. After cluster.sh.
# Set in front: WANTED      lines NODE|KEY=VALUE,…|KEY=VALUE:EFFECT,…|HOST KEY
#               GENERATION  a number without meaning but to make this run again
: "generation $GENERATION"

seen=$(kubectl get nodes --output 'jsonpath={range .items[*]}{.metadata.name}|{.metadata.annotations.k3s-gpu-sharing/labels}|{.metadata.annotations.k3s-gpu-sharing/taints}|{.metadata.annotations.k3s-gpu-sharing/host-key}|{range .spec.taints[*]}{.key}={.value}:{.effect},{end}|{.metadata.labels}{"\n"}{end}') ||
    unanswered "no label and no taint was changed"

# What differs, as lines NODE|PATCH|TAINTS FOR KUBECTL
changes=$({ printf '%s\n' "$seen" && echo && printf '%s\n' "$WANTED"; } | awk -F '|' '
    function quoted(text) { return "\"" text "\"" }
    function key(pair) { sub(/=.*/, "", pair); return pair }
    # A taint is known by its key and its effect.
    function kind(taint) { sub(/=[^:]*/, "", taint); return taint }
    function remembered(name, was, is) {
        if (was == is) return ""
        return quoted("k3s-gpu-sharing/" name) ":" (is == "" ? "null" : quoted(is)) ","
    }
    !wanted && NF { labels[$1] = $2; taints[$1] = $3; keys[$1] = $4; now[$1] = "," $5; all[$1] = $6; next }
    !wanted { wanted = 1; next }
    !($1 in now) { print $1 "||"; next }
    {
        patch = notes = words = mine = kinds = ""
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
            if (!index(now[$1], "," pairs[i] ",")) words = words " " pairs[i]
        }
        count = split(taints[$1], pairs, ",")
        for (i = 1; i <= count; i++)
            if (!index(kinds, "," kind(pairs[i]) ",") && index(now[$1], "," pairs[i] ",")) words = words " " kind(pairs[i]) "-"
        notes = remembered("labels", labels[$1], $2) remembered("taints", taints[$1], $3) remembered("host-key", keys[$1], $4)
        if (patch notes words == "") next
        sub(/,$/, "", patch)
        sub(/,$/, "", notes)
        print $1 "|{\"metadata\":{\"labels\":{" patch "},\"annotations\":{" notes "}}}|" words
    }')

[ -n "$changes" ] || {
    echo "labels and taints are as they should be"
    exit 0
}
printf '%s\n' "$changes" | while IFS='|' read -r node patch words; do
    [ -n "$patch" ] || HOST=$node fail "no such node, so its labels and taints could not be set" \
        "raise k3s.generation in the stack file and run up; its k3s then registers it again"
    # shellcheck disable=SC2086 # each word is a taint
    [ -z "$words" ] || kubectl taint node "$node" --overwrite $words
    kubectl patch node "$node" --type merge --patch "$patch"
done
