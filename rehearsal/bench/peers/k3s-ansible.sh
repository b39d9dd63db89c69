#!/bin/sh
# Runs k3s-ansible's playbook (rehearsal/bench/peer_tool.py) on as many machines at once as there are.
# K3S_ANSIBLE: its checkout. ANSIBLE_PLAYBOOK: the program, with the collections that it requires.
set -eu
: "${K3S_ANSIBLE:?the checkout of k3s-ansible}" "${ANSIBLE_PLAYBOOK:?the path of ansible-playbook}"

# hosts NAME=ADDRESS...
hosts() {
    for one; do
        printf '        %s: {ansible_host: %s}\n' "${one%%=*}" "${one#*=}"
    done
}

# shellcheck disable=SC2086  # lists are split at blanks
set -- $PEER_SERVERS $PEER_AGENTS
# shellcheck disable=SC2086
cat >inventory.yml <<EOF
k3s_cluster:
  children:
    server:
      hosts:
$(hosts $PEER_SERVERS)
    agent:
      hosts:
$(hosts $PEER_AGENTS)
  vars:
    ansible_user: $PEER_USER
    ansible_ssh_private_key_file: $PEER_KEY
    ansible_ssh_common_args: -o UserKnownHostsFile=$PEER_KNOWN_HOSTS
    k3s_version: $PEER_VERSION
    token: not-a-secret
    api_endpoint: ${1#*=}
    extra_server_args: --node-name {{ inventory_hostname }} --disable traefik
    extra_agent_args: --node-name {{ inventory_hostname }}
EOF
ANSIBLE_CONFIG=$K3S_ANSIBLE/ansible.cfg ANSIBLE_FORKS=$# \
    "$ANSIBLE_PLAYBOOK" "$K3S_ANSIBLE/playbooks/site.yml" -i inventory.yml
