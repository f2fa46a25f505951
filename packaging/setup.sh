#!/bin/bash
# What the demo needs on a Debian machine; with the argument "test", also what the tests need;
# with "kernels", also what it takes to run them under other kernels; with "bench", to plot.
# Fast when all of it is there; installs what is missing as root, else prints the one line
# to run. Never upgrades.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-demo}

packages=(gcc libc6-dev make python3 python3-prctl util-linux)
if [[ $purpose != demo ]]; then
    packages+=(python3-venv python3-click python3-pyroute2 fuse3 strace shellcheck tmux)
    # Real file systems, mounted through the helper by tests/filesystems.
    packages+=(sshfs openssh-sftp-server bindfs squashfuse squashfs-tools fuse-overlayfs
        unionfs-fuse archivemount python3-pyfuse3)
    # What tests/packaging builds, reads and tries.
    packages+=(dpkg-dev debhelper dh-python dh-apparmor lintian pybuild-plugin-pyproject
        python3-all python3-build python3-hatchling pandoc mandoc man-db apparmor rpm)
fi
if [[ $purpose == kernels ]]; then
    packages+=(qemu-system-x86 busybox-static cpio kmod)
fi
if [[ $purpose == bench ]]; then
    packages+=(python3-matplotlib)
fi
python=/usr/bin/python3
tools=('pytest>=8,<9' 'pytest-timeout>=2.3,<3' 'hypothesis>=6.100,<7' 'ruff>=0.14,<1'
    'mypy>=1.15,<3' 'atheris>=2.3,<4' 'mfusepy>=3.1,<4')

missing=()
for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == "ii " ]] ||
        missing+=("$package")
done

if ((${#missing[@]})); then
    install="apt-get install -y --no-upgrade --no-install-recommends ${missing[*]}"
    if ((EUID != 0)); then
        echo "Packages are missing. Please run this line, then try again:"
        echo "    sudo sh -c 'apt-get update && $install'"
        exit 1
    fi
    echo "Installing: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q >/dev/null
    $install -q >/dev/null
fi

[[ $purpose != demo ]] || exit 0

# The tools' versions are part of the stamp: another list means another environment.
stamp=.venv/tools
if [[ ! -e $stamp || $(<"$stamp") != "${tools[*]}" ]]; then
    echo "Making .venv with: ${tools[*]}"
    "$python" -m venv --system-site-packages --clear .venv
    .venv/bin/pip install -q --disable-pip-version-check "${tools[@]}"
    echo "${tools[*]}" >"$stamp"
fi
