#!/usr/bin/env bash
# The real parts that tests of images need: a Docker engine, Podman, a registry and a base image,
# all from Debian's packages.
#
#   tools/parts.sh install        as root, once
#   tools/parts.sh up FOLDER      start them; what was started is written down in FOLDER
#   tools/parts.sh down FOLDER    end just those
#
# Tests find them by PARTS_FOLDER=FOLDER.
set -euo pipefail

PACKAGES=(docker.io iptables mmdebstrap docker-registry podman runc catatonit conmon netavark
  aardvark-dns qemu-user-static arch-test curl)
# Close to the official slim image; its Python is Debian's own.
INCLUDED=ca-certificates,python3.11,python3-pip,libgomp1,libstdc++6

install() {
  local missing=()
  for package in "${PACKAGES[@]}"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  # Nothing is to start by itself: what runs is started here, and ended.
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
  rm /usr/sbin/policy-rc.d
}

# Have the kernel start arm64 programs by qemu, where no service has seen to that.
emulate() {
  local registry=/proc/sys/fs/binfmt_misc
  [[ -e $registry/register ]] || mount -t binfmt_misc binfmt_misc "$registry"
  [[ -e $registry/qemu-aarch64 ]] || cat /usr/lib/binfmt.d/qemu-aarch64.conf >"$registry/register"
}

# A root file system with Python, as a tar: base ARCHITECTURE VARIANT FILE
base() {
  [[ -f $3 ]] && return 0
  mmdebstrap --quiet --format=tar --variant="$2" --architectures="$1" --include="$INCLUDED" \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='ln -sf python3.11 "$1/usr/bin/python3"' \
    --customize-hook='ln -sf python3.11 "$1/usr/bin/python"' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
    bookworm "$3.part"
  mv "$3.part" "$3"
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

wait_for() {
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  echo "Not ready after 30 s: $*" >&2
  return 1
}

up() {
  mkdir -p "$1"
  local folder
  folder=$(cd "$1" && pwd)
  emulate
  base amd64 minbase "$folder/base-amd64.tar"
  # Unpacked only: to configure it would take minutes of emulation.
  base arm64 extract "$folder/base-arm64.tar"

  dockerd --data-root "$folder/docker" --exec-root "$folder/docker-exec" \
    -H "unix://$folder/docker.sock" -p "$folder/docker.pid" >"$folder/docker.log" 2>&1 &
  local port
  port=$(free_port)
  cat >"$folder/registry.yml" <<EOF
version: 0.1
storage:
  filesystem:
    rootdirectory: $folder/registry
http:
  addr: 127.0.0.1:$port
EOF
  docker-registry serve "$folder/registry.yml" >"$folder/registry.log" 2>&1 &
  echo $! >"$folder/registry.pid"
  # crun refuses hybrid control groups; the default limits are above what containers may have here.
  cat >"$folder/containers.conf" <<'EOF'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
EOF
  wait_for /usr/bin/docker -H "unix://$folder/docker.sock" version
  wait_for curl -fs "http://127.0.0.1:$port/v2/"
  echo "127.0.0.1:$port" >"$folder/registry.address"
}

down() {
  for name in docker registry; do
    if [[ -f $1/$name.pid ]]; then
      local pid
      pid=$(<"$1/$name.pid")
      kill "$pid" 2>/dev/null || true
      tail --pid="$pid" -f /dev/null 2>/dev/null || true
      rm -f "$1/$name.pid"
    fi
  done
}

case "${1:-}" in
  install) install ;;
  up) up "${2:?a folder}" ;;
  down) down "${2:?a folder}" ;;
  *)
    sed -n '2,10p' "$0" >&2
    exit 2
    ;;
esac
