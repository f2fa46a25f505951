#!/bin/bash
# Run a command under another Debian kernel, older or newer, on this machine's own files.
#
#     packaging/in_kernel.sh 6.1 uname -r
#
# QEMU boots the newest kernel of that series that Debian has, in this machine's release, or else in
# backports or unstable, whose package lists are kept beside the kernels. Its root directory is this
# machine's, over 9p, with a throw-away overlay on top: the command may write anywhere, and nothing
# it writes lasts. It runs as root in the current directory; what it prints and its exit status
# are this script's (125: the guest did not get that far). The guest is emulated: fifteen seconds
# to boot, and about ten times slower than here. (/dev/kvm, where there is one inside a virtual
# machine, was seen to hang.)
#
#     IN_KERNEL_SECONDS    bounds the whole run (1800)
#     IN_KERNEL_CACHE      where kernels are kept, 20 MB each (~/.cache/fusermount-py/kernels)
set -euo pipefail
series=${1:?usage: in_kernel.sh SERIES COMMAND...}
shift
: "${1:?usage: in_kernel.sh SERIES COMMAND...}"
cache=${IN_KERNEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fusermount-py/kernels}
kernel=$cache/$series
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 125' INT TERM

fail() {
    echo "in_kernel: $*" >&2
    exit 125
}

# Further words of apt's: empty for the lists of this machine.
lists=()

newest_package() {
    apt-cache "${lists[@]}" pkgnames "linux-image-$series." |
        grep -E '^linux-image-[0-9.]+([+-][0-9a-z.+]+)*-amd64$' |
        grep -vE -- '-(cloud|rt)-' | sort -V | tail -n 1
}

download() {
    local package
    package=$(newest_package) &&
        (cd "$work/package" &&
            apt-get "${lists[@]}" download -q -o APT::Sandbox::User=root "$package" >/dev/null)
}

# Lists of backports and unstable, from where this machine has its own, and apart from them.
look_further() {
    local place=$cache/lists keys=/usr/share/keyrings/debian-archive-keyring.gpg mirror suite
    # shellcheck disable=SC2016 # apt's own words
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }')
    mkdir -p "$place/state/partial" "$place/cache/archives/partial"
    for suite in trixie-backports sid; do
        echo "deb [signed-by=$keys] $mirror $suite main"
    done >"$place/sources.list"
    lists=(-o "Dir::State::lists=$place/state" -o "Dir::Cache=$place/cache"
        -o "Dir::Etc::sourcelist=$place/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o APT::Sandbox::User=root)
    apt-get "${lists[@]}" update -q >/dev/null
}

# Keep the kernel image and, numbered in the order of loading, the modules that the guest needs.
fetch() {
    local version
    mkdir "$work/package"
    # Lists may be missing, or name a kernel that is no longer there.
    download || { apt-get update -q >/dev/null && download; } || { look_further && download; } ||
        fail "Debian has no kernel $series"
    dpkg -x "$work/package"/*.deb "$work/package"
    # Later releases have modules in /usr/lib alone, where depmod and modprobe do not look.
    [[ -d $work/package/lib ]] || ln -s usr/lib "$work/package/lib"
    version=$(basename "$work/package/lib/modules"/*)
    depmod -b "$work/package" "$version"
    mkdir "$work/kernel"
    cp "$work/package/boot/vmlinuz-$version" "$work/kernel/vmlinuz"
    for module in virtio_pci 9pnet_virtio 9p fuse overlay unix_diag; do # those built in have no file
        modprobe -d "$work/package" -S "$version" --show-depends "$module"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | nl -n rz -w 3 |
        while read -r number module; do
            cp "$module" "$work/kernel/$number-$(basename "$module")"
        done
    mkdir -p "$cache"
    rm -rf "$kernel" "$work/package"
    mv "$work/kernel" "$kernel"
}

# The first program of the guest: it makes the root directory, and bash in it runs the command.
write_init() {
    cat >"$1" <<'INIT'
#!/busybox sh
b=/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod $module; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /lower ||
    $b poweroff -f
$b mount -t tmpfs rw /rw
$b mkdir /rw/upper /rw/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work root /new
$b cp /command /new/in_kernel.command
for made in proc sys dev; do $b mount --move /$made /new/$made; done
$b mkdir -p /new/dev/pts /new/dev/shm
$b ln -s /proc/self/fd /new/dev/fd
$b ln -s /proc/self/fd/0 /new/dev/stdin
$b ifconfig lo 127.0.0.1 up
$b mount -t devpts pts /new/dev/pts
$b mount -t tmpfs shm /new/dev/shm
$b mount -t tmpfs run /new/run
exec $b switch_root /new /bin/bash -c '
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TERM=dumb
    echo; echo "=== under Linux $(uname -r)"
    bash /in_kernel.command </dev/null; status=$?
    echo; echo "=== status $status"
    stty cs8 <&1 # waits until all of this is out; the kernel does not wait
    echo 1 >/proc/sys/kernel/sysrq; echo o >/proc/sysrq-trigger; sleep 60'
INIT
    chmod +x "$1"
}

pack() {
    local root=$work/initrd
    mkdir -p "$root"/{modules,proc,sys,dev,lower,rw,new}
    cp "$(command -v busybox)" "$root/busybox"
    find "$kernel" -name '*.ko*' -exec cp -t "$root/modules" {} +
    {
        printf 'cd %q || exit\n' "$PWD"
        printf '%q ' "$@"
    } >"$root/command"
    write_init "$root/init"
    (cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$work/initrd.gz"
}

boot() {
    exec timeout "${IN_KERNEL_SECONDS:-1800}" qemu-system-x86_64 \
        -accel tcg,thread=multi -cpu max -smp 2 -m 2048 \
        -display none -serial stdio -monitor none -no-reboot -nic none \
        -kernel "$kernel/vmlinuz" -initrd "$work/initrd.gz" \
        -append "console=ttyS0 quiet panic=-1 loglevel=3" \
        -fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
        -device virtio-9p-pci,fsdev=root,mount_tag=root \
        </dev/null >"$work/console" 2>"$work/complaints"
}

# The command's own part of what the console shows; returns its exit status.
relay() {
    local line begun=
    while IFS= read -r line; do
        line=${line%$'\r'}
        case $line in
            "=== under Linux "*) begun=yes ;;
            "=== status "*) return "${line##* }" ;;
        esac
        [[ -z $begun ]] || printf '%s\n' "$line"
    done
    return 125
}

for program in qemu-system-x86_64 busybox cpio depmod; do
    command -v "$program" >/dev/null || fail "there is no $program: packaging/setup.sh kernels"
done
[[ -e $kernel/vmlinuz ]] || fetch
pack "$@"
mkfifo "$work/console"
boot &
guest=$!
# Nobody else would end it: what runs in the background does not hear of Ctrl-C.
trap 'kill "$guest" 2>/dev/null || true; rm -rf "$work"' EXIT # it may have ended
status=0
relay <"$work/console" || status=$?
((status != 125)) || tail -n 5 "$work/complaints" >&2
exit "$status"
