# One run at a time, which a lost connection does not interrupt. After files.sh. Set in front: TIMEOUT
# shellcheck disable=SC2329  # converge.sh calls this

# run_detached FUNCTION: run it in the background, with its output in a file, and exit with its status. The engine
# may be killed, and the connection with it: the work then goes on, and the next run waits for the lock and finds
# everything done.
run_detached() {
    exec 9>/run/lock/k3s-gpu-sharing.lock
    flock -w "$TIMEOUT" 9 || fail "another run has been at work here for $TIMEOUT s" "wait for it; it holds /run/lock/k3s-gpu-sharing.lock"
    mkdir -p /run/k3s-gpu-sharing
    out=$(mktemp /run/k3s-gpu-sharing/converge.XXXXXX)
    (
        trap '' HUP PIPE TERM
        "$1"
    ) >"$out" 2>&1 </dev/null &
    wait $! && status=0 || status=$?
    if [ "$status" -eq 0 ]; then cat "$out"; else cat "$out" >&2; fi
    rm -f "$out"
    exit "$status"
}
