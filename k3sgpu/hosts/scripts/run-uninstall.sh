# Runs when a host leaves the stack. Set in front: PROJECT STACK HOST
if [ -x /usr/local/lib/k3s-gpu-sharing/clean ]; then
    exec /usr/local/lib/k3s-gpu-sharing/clean "$PROJECT" "$STACK" "$HOST"
fi
echo "$HOST: nothing of ours here"
