# Uninstalls a removed host, with the script that stage-host.sh left there. Set in front: PROJECT STACK HOST
if [ -x /usr/local/lib/k3s-gpu-sharing/clean ]; then
    exec /usr/local/lib/k3s-gpu-sharing/clean "$PROJECT" "$STACK" "$HOST"
fi
echo "$HOST: nothing of this program is installed here"
