# Prints the administrator's kubeconfig, which is a secret.
# Set in front: GENERATION  a number; another one makes the engine run this again
: "generation $GENERATION"
cat /etc/rancher/k3s/k3s.yaml
