# Removes what stage-host.sh left on a machine where k3s was never installed. Set in front: PROJECT STACK HOST
if [ -e /usr/local/bin/k3s ] || [ -e /etc/systemd/system/k3s.service ] || [ -e /etc/systemd/system/k3s-agent.service ]; then
    echo "$HOST: k3s is installed"
elif [ -x /usr/local/lib/k3s-gpu-sharing/clean ]; then
    exec /usr/local/lib/k3s-gpu-sharing/clean "$PROJECT" "$STACK" "$HOST"
else
    echo "$HOST: nothing of this program is here"
fi
