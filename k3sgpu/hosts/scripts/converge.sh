# Makes this machine, which stage-host.sh has prepared, the k3s node that the stack file describes. A second run
# changes nothing. It never uninstalls: that is uninstall.sh's work.
#
# Set in front: PROJECT STACK HOST   whose machine this is
#               ROLE                 server | agent
#               DATABASE             of a server: own | first (others will copy it) | copy (of the others')
#               EXTERNAL_DATABASE    empty, or yes: the servers share a database outside of the cluster
#               SERVERS              addresses of the other servers, the initial one first
#               VERSION CONFIG       the k3s release; the text of /etc/rancher/k3s/config.yaml
#               TIMEOUT              seconds until k3s has to be ready; also how long to wait for the lock of another run
#               DRAIN_ON_PATCH       empty, or yes: move pods away also before an upgrade within a minor version
#               DRAIN_TIMEOUT        seconds until the pods have to be gone
#               GENERATION           a number; another one makes the engine run this again
# stdin:        secrets, one NAME=<base64> a line: AGENT_TOKEN for ROLE=agent and DATABASE=copy, SERVER_TOKEN for
#               DATABASE=copy, NODE_CONFIG and SERVER_CONFIG (more of config.yaml), and the texts of registries.yaml
#               (REGISTRIES) and of the unit's environment (ENVIRONMENT)
# shellcheck disable=SC2154,SC2329  # the parts set what this reads, and run_detached calls converge

# shellcheck source=/dev/null
. ./timeouts.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/files.sh
. ./parts/files.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/secrets.sh
. ./parts/secrets.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/kubectl.sh
. ./parts/kubectl.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/owner.sh
. ./parts/owner.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/versions.sh
. ./parts/versions.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/checks.sh
. ./parts/checks.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/release_lock.sh
. ./parts/release_lock.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/release.sh
. ./parts/release.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/download.sh
. ./parts/download.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/install.sh
. ./parts/install.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/upgrade.sh
. ./parts/upgrade.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/data.sh
. ./parts/data.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/configure.sh
. ./parts/configure.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/service.sh
. ./parts/service.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/k3s_files.sh
. ./parts/k3s_files.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/adopt.sh
. ./parts/adopt.sh
# shellcheck source=k3sgpu/hosts/scripts/parts/background.sh
. ./parts/background.sh

converge() {
    action="nothing to change"

    check_owner   # parts/owner.sh
    check_claimed # parts/owner.sh
    check_version # parts/checks.sh
    if adoption_is_pending; then
        take_over # parts/adopt.sh
    else
        check_database # parts/checks.sh
    fi

    if release_is_installed; then # parts/release.sh
        configure                 # parts/configure.sh
    else
        lock_release    # parts/release_lock.sh
        fetch_release   # parts/download.sh: what was not staged, or got lost
        prepare_upgrade # parts/upgrade.sh: drain, snapshot
        configure       # parts/configure.sh
        install_release # parts/install.sh
        unlock_release  # parts/release_lock.sh
    fi
    # After the install script, which empties this file.
    write_or_remove "$unit_file.env" "$environment" k3s.proxy # parts/secrets.sh

    start_k3s        # parts/service.sh
    wait_until_ready # parts/service.sh
    finish_adoption  # parts/adopt.sh
    uncordon         # parts/upgrade.sh
    printf '%s: k3s %s: %s\n' "$HOST" "$ROLE" "$action"
}

say_arrived() { echo "$HOST: waiting for the download of k3s $VERSION: $1 so far" >&2; }

read_secrets
wait_for_download say_arrived # parts/release.sh
run_detached converge
