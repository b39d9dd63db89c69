# Removes what stage-host.sh left on a machine where k3s was never installed, or not taken over yet.
# Set in front: PROJECT STACK HOST
adopted=/etc/k3s-gpu-sharing/adopted
if [ ! -d $adopted ] || [ -e $adopted/begun ]; then
    for file in /usr/local/bin/k3s /etc/systemd/system/k3s.service /etc/systemd/system/k3s-agent.service; do
        [ ! -e $file ] || {
            echo "$HOST: k3s is installed"
            exit 0
        }
    done
fi
if [ -x /usr/local/lib/k3s-gpu-sharing/clean ]; then
    exec /usr/local/lib/k3s-gpu-sharing/clean "$PROJECT" "$STACK" "$HOST"
fi
echo "$HOST: nothing of this program is here"
