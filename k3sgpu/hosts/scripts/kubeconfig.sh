# The administrator's kubeconfig on stdout, which is a secret. Set in front: GENERATION, a number
# that has no meaning but to make this run again.
: "generation $GENERATION"
cat /etc/rancher/k3s/k3s.yaml
