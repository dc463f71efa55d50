#!/usr/bin/env bash
# The units of deploy/systemd: systemd reads them without a complaint, they are locked up as promised, and under a real systemd the
# service starts, reads its credential, reloads, is restarted by the watchdog, and stops at once; the one-shot unit runs and ends.
#
#   RETAIND=target/debug/retaind tests/real/60-systemd.sh
#
# Needs root on Debian 12 or newer, with the right to mount and to make namespaces (in a container: --privileged): systemd is booted in
# an overlay of this machine's root. Without that right the script fails; RETAIND_SYSTEMD_BOOT=no says aloud that only the units are to
# be checked. Takes half a minute.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RETAIND=$(realpath "${RETAIND:?the built program}")
readonly here RETAIND units=$here/../../deploy/systemd
exec </dev/null

# What `systemd-analyze security` says at most: 0.0 is locked up entirely, 10.0 is a plain root service.
readonly EXPOSURE_MAX=1.5
# Booting and all checks; they take some twenty seconds.
readonly BOOT_MAX_SECONDS=180

work=$(mktemp -d)
readonly work

main() {
    trap clean_up EXIT
    install_systemd
    units_are_valid
    units_are_locked_up
    if [[ ${RETAIND_SYSTEMD_BOOT:-yes} == no ]]; then
        printf 'NOT BOOTED, as RETAIND_SYSTEMD_BOOT=no demands: whether the units run is unknown\n'
    else
        lay_out
        boot
    fi
    printf 'ok 60-systemd\n'
}

install_systemd() {
    # `command -v` of both at once is content with one of them.
    if [[ -x /usr/bin/systemd-nspawn && -x /usr/bin/systemd-analyze && -x /lib/systemd/systemd && -x /usr/bin/dbus-daemon ]]; then return; fi
    printf 'installing systemd\n'
    DEBIAN_FRONTEND=noninteractive apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends systemd systemd-container dbus
}

# Any word is a failure: an unknown key is only a warning, and then it protects from nothing.
units_are_valid() {
    local said root=$work/verify
    mkdir -p "$root/usr/bin"
    cp "$units"/* "$root/"
    # The units name a program that this machine does not have.
    sed -i "s#/usr/bin/retaind#$RETAIND#" "$root"/*.service
    said=$(systemd-analyze verify --man=no --recursive-errors=no "$root"/retaind.service "$root"/retaind-once.service "$root"/retaind-once.timer 2>&1) || fail "systemd-analyze verify: $said"
    [[ -z $said ]] || fail "systemd-analyze verify: $said"
    # A check that cannot fail would say nothing.
    sed 's/^ProtectSystem=/ProtectSytem=/' "$root/retaind.service" >"$root/wrong.service"
    said=$(systemd-analyze verify --man=no --recursive-errors=no "$root/wrong.service" 2>&1) || true
    [[ $said == *ProtectSytem* ]] || fail "systemd-analyze verify does not see a misspelt key: $said"
    printf 'systemd-analyze verify is silent: %s\n' "$(systemd-analyze --version | head -n 1)"
}

units_are_locked_up() {
    local unit said
    for unit in retaind.service retaind-once.service; do
        said=$(systemd-analyze security --offline=yes --no-pager "$units/$unit" 2>&1 | grep -oE 'exposure level for .*: [0-9.]+' | grep -oE '[0-9.]+$') ||
            fail "systemd-analyze security says nothing about $unit"
        awk -v found="$said" -v allowed="$EXPOSURE_MAX" 'BEGIN { exit !(found <= allowed) }' || fail "the exposure of $unit is $said, more than $EXPOSURE_MAX"
        printf 'exposure of %s: %s\n' "$unit" "$said"
    done
}

# What the machine inside has beside this machine's own files, below $work/root/upper.
lay_out() {
    mkdir "$work/root"
    mount -t tmpfs tmpfs "$work/root" || fail "cannot mount: run this as root with CAP_SYS_ADMIN, or say RETAIND_SYSTEMD_BOOT=no"
    local upper=$work/root/upper
    mkdir -p "$upper"/{check,usr/bin,etc/retaind/policies,etc/retaind/credentials,etc/systemd/system} "$work/root"/{work,merged}
    install -m 755 "$RETAIND" "$upper/usr/bin/retaind"
    install -m 644 "$units"/* "$upper/etc/systemd/system/"
    install -m 644 "$here/systemd-inside.bash" "$upper/check/inside.sh"
    ln -s /dev/null "$upper/etc/systemd/system/systemd-networkd-wait-online.service"
    ln -s /dev/null "$upper/etc/systemd/system/NetworkManager-wait-online.service"
    # Nothing else of this machine is wanted inside.
    cat >"$upper/etc/systemd/system/check.service" <<'UNIT'
[Unit]
After=basic.target dbus.service
Wants=dbus.service
[Service]
Type=oneshot
StandardOutput=file:/check/said
StandardError=file:/check/said
ExecStart=/bin/sh -c 'bash /check/inside.sh; echo $? >/check/code'
ExecStartPost=/bin/systemctl poweroff --no-block --force
UNIT
}

boot() {
    local root=$work/root
    mount -t overlay overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/merged" ||
        fail "cannot mount an overlay: run this as root with CAP_SYS_ADMIN, or say RETAIND_SYSTEMD_BOOT=no"
    rm -f "$root/merged/etc/machine-id"
    timeout "$BOOT_MAX_SECONDS" systemd-nspawn --register=no --keep-unit --quiet --directory "$root/merged" --boot --private-network \
        systemd.unit=check.service >"$work/boot.log" 2>&1 || true
    [[ -e $root/upper/check/code ]] || fail "systemd did not boot here; in a container it needs --privileged, or say RETAIND_SYSTEMD_BOOT=no: $(tail -n 20 "$work/boot.log")"
    cat "$root/upper/check/said"
    [[ $(cat "$root/upper/check/code") == 0 ]] || fail "a check under systemd failed"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

clean_up() {
    umount "$work/root/merged" 2>/dev/null || true
    umount "$work/root" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}

main
