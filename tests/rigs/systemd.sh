#!/bin/bash
# A real systemd as PID 1 of a throw-away container. Its root is an overlay on the host's
# root, in RAM, so that what the host has is there and nothing that it writes stays.
#
#   systemd.sh up                boot
#   systemd.sh run CMD...        run a command inside, as root
#   systemd.sh put FILE PATH     copy a file into it
#   systemd.sh down
#
# Environment: DIR, the folder of its state; STAGE, a tree laid over the root before it
# boots. Needs root; shares the host's network. Debian: systemd dbus.
set -Eeuo pipefail
DIR=${DIR:?} STAGE=${STAGE:-}
mkdir -p "$DIR"
DIR=$(cd "$DIR" && pwd)
root=$DIR/root
trap 'echo "systemd.sh: failed at line $LINENO; see $DIR/console.log" >&2' ERR

inside() {
    local leader
    leader=$(cat "$DIR/leader")
    nsenter -t "$leader" -m -u -i -p -C -r -w -- env -i LC_ALL=C.UTF-8 SYSTEMD_PAGER= \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb "$@"
}

prepare() {
    local unit etc
    mkdir -p "$DIR/ov" "$root"
    mount -t tmpfs -o mode=755,size=512m tmpfs "$DIR/ov"
    mkdir -p "$DIR"/ov/{up,work}
    if [ -n "$STAGE" ]; then
        cp -a "$STAGE/." "$DIR/ov/up/"
        if [ -d "$DIR/ov/up/lib" ]; then # on Debian a link to /usr/lib, not to be hidden
            mkdir -p "$DIR/ov/up/usr"
            cp -a "$DIR/ov/up/lib" "$DIR/ov/up/usr/"
            rm -r "$DIR/ov/up/lib"
        fi
    fi
    mount -t overlay -o "lowerdir=/,upperdir=$DIR/ov/up,workdir=$DIR/ov/work" overlay "$root"
    etc=$root/etc
    tr -d - </proc/sys/kernel/random/uuid >"$etc/machine-id"
    mkdir -p "$etc/systemd/system" "$etc/systemd/journald.conf.d"
    printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\n' >"$etc/systemd/journald.conf.d/rig.conf"
    # The base system and the bus, and nothing else that the host has installed.
    printf '[Unit]\nRequires=basic.target dbus.socket\nWants=dbus.service\nAfter=basic.target dbus.socket\nAllowIsolate=yes\n' \
        >"$etc/systemd/system/rig.target"
    rm -rf "$etc"/systemd/system/{timers,sockets}.target.wants
    for unit in systemd-firstboot.service dev-hugepages.mount sys-fs-fuse-connections.mount \
        systemd-network-generator.service systemd-update-utmp.service apparmor.service \
        systemd-timesyncd.service lvm2-monitor.service lvm2-lvmpolld.socket; do
        ln -sf /dev/null "$etc/systemd/system/$unit"
    done
}

# One cgroup below ours in each tree that the container shall see.
make_cgroups() {
    local tree name
    trees=
    if [ -e /sys/fs/cgroup/cgroup.procs ]; then
        echo "/sys/fs/cgroup$(awk -F: '$1 == 0 {print $3}' /proc/self/cgroup)/rig-$$"
    else
        for tree in name=systemd memory pids; do
            name=${tree#name=}
            [ -d "/sys/fs/cgroup/$name" ] || continue
            echo "/sys/fs/cgroup/$name$(awk -F: -v c="$tree" '$2 == c {print $3}' /proc/self/cgroup)/rig-$$"
        done
    fi | sed 's#//*#/#g' >"$DIR/cgroups"
    [ -e /sys/fs/cgroup/cgroup.procs ] || trees="name=systemd memory pids"
    xargs mkdir -p <"$DIR/cgroups"
}

boot() {
    local i pid
    make_cgroups
    TREES=$trees setsid bash -c '
        while read -r g; do echo $$ >"$g/cgroup.procs"; done <"$1"
        exec unshare --mount --pid --fork --kill-child --ipc --uts --cgroup --propagation private bash -ec "
            r=$2
            mount -t proc proc \$r/proc
            mount -t sysfs -o ro sysfs \$r/sys
            mount -t tmpfs -o mode=755 tmpfs \$r/sys/fs/cgroup
            [ -n \"\$TREES\" ] || mount -t cgroup2 cgroup2 \$r/sys/fs/cgroup
            for c in \$TREES; do
                [ -d /sys/fs/cgroup/\${c#name=} ] || continue
                mkdir \$r/sys/fs/cgroup/\${c#name=}
                mount -t cgroup -o \$c cgroup \$r/sys/fs/cgroup/\${c#name=}
            done
            mount -t tmpfs -o mode=755 tmpfs \$r/run
            mount -t tmpfs -o mode=1777 tmpfs \$r/tmp
            mount -t tmpfs -o mode=755 tmpfs \$r/dev
            mkdir \$r/dev/pts \$r/dev/shm
            for d in null zero full random urandom tty; do
                touch \$r/dev/\$d; mount --bind /dev/\$d \$r/dev/\$d
            done
            mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts \$r/dev/pts
            ln -s pts/ptmx \$r/dev/ptmx; ln -s /proc/self/fd \$r/dev/fd
            cd \$r; mkdir -p .old; pivot_root . .old; cd /
            umount -l /.old
            mount --make-rshared / # LoadCredential= and the like need it
            exec env -i container=rig PATH=/usr/sbin:/usr/bin:/sbin:/bin \
                /lib/systemd/systemd --system systemd.unit=rig.target systemd.firstboot=off
        "' _ "$DIR/cgroups" "$root" </dev/null >"$DIR/console.log" 2>&1 &
    echo $! >"$DIR/outer"
    for ((i = 0; i < 100; i++)); do
        pid=$(pgrep -P "$(cat "$DIR/outer")" | head -n 1) || pid=
        if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm")" = systemd ]; then
            echo "$pid" >"$DIR/leader"
            return
        fi
        sleep 0.05
    done
    return 1
}

up() {
    local i
    prepare
    boot
    for ((i = 0; i < 300; i++)); do
        case $(inside systemctl is-system-running 2>/dev/null || :) in
        running | degraded) return ;;
        esac
        sleep 0.1
    done
    return 1
}

down() {
    local outer i cgroup
    if [ -s "$DIR/leader" ]; then
        outer=$(cat "$DIR/outer")
        kill -s RTMIN+4 "$(cat "$DIR/leader")" 2>/dev/null || : # poweroff
        for ((i = 0; i < 100; i++)); do
            kill -0 "$outer" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$(cat "$DIR/leader")" "$outer" 2>/dev/null || :
    fi
    umount -R "$root" 2>/dev/null || umount -l "$root" 2>/dev/null || :
    umount "$DIR/ov" 2>/dev/null || umount -l "$DIR/ov" 2>/dev/null || :
    if [ -s "$DIR/cgroups" ]; then
        while read -r cgroup; do
            find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || :
        done <"$DIR/cgroups"
    fi
    rm -rf --one-file-system "$DIR"
}

case ${1:-} in
up | down) "$1" ;;
run) shift; inside "$@" ;;
put) inside sh -c 'cat >"$1"' _ "$3" <"$2" ;;
*) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 64 ;;
esac
