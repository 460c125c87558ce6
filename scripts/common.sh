# Sourced by the scripts beside it: words for people, Debian packages, a Rust toolchain. Plain POSIX sh.

set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# Where rustup puts a toolchain; a shell that was open before does not look there yet.
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
export PATH

# The oldest Rust that the workspace builds with (`rust-version` in Cargo.toml).
rust_minor_min=88

say() { if [ -t 1 ]; then printf '\033[1m==> %s\033[0m\n' "$*"; else printf '==> %s\n' "$*"; fi; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif has sudo; then
    sudo -E "$@"
  else
    fail "this needs root, and there is no sudo here: run $0 as root"
  fi
}

# need COMMAND PACKAGE: remembers the package when the command is not there. A path stands for itself.
missing=
need() {
  case $1 in
    /*) [ -e "$1" ] || missing="$missing $2" ;;
    *) has "$1" || missing="$missing $2" ;;
  esac
}

# Installs what `need` remembered.
install_missing() {
  [ -n "$missing" ] || return 0
  has apt-get || fail "these Debian packages are needed and there is no apt-get here; install what they hold, then try again:$missing"
  say "Installing Debian packages:$missing"
  as_root apt-get update -q || fail "the package lists could not be fetched; see the lines above"
  # shellcheck disable=SC2086 # A list of names, one word each.
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing ||
    fail "apt-get could not install:$missing; see the lines above, then try again"
  missing=
}

# What building the workspace takes.
need_toolchain() {
  # The codecs of the live picture are C, with parts in assembly.
  need c++ g++
  need cmake cmake
  need nasm nasm
  need make make
  need cc gcc
  need /usr/include/stdio.h libc6-dev
  if ! has cargo; then
    need_cargo
  else
    minor=$(cargo --version | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p')
    [ "${minor:-0}" -ge $rust_minor_min ] ||
      fail "$(cargo --version) is too old, 1.$rust_minor_min is needed: run \`rustup update\`, or remove it so that this script can install another"
  fi
}

# The distribution's own Rust: `cargo-web` is Debian's current one for stable releases, rustup comes with Debian 13.
need_cargo() {
  has apt-cache || fail "no Rust toolchain: install Rust 1.$rust_minor_min or newer with rustup, then try again"
  # A fresh machine has never fetched the lists.
  as_root apt-get update -q
  for package in cargo cargo-web; do
    minor=$(apt-cache policy "$package" | sed -n 's/^ *Candidate: \(.*:\)\{0,1\}1\.\([0-9]*\)\..*/\2/p')
    if [ "${minor:-0}" -ge $rust_minor_min ]; then
      missing="$missing $package"
      return 0
    fi
  done
  apt-cache policy rustup | grep -q 'Candidate: [0-9]' ||
    fail "this release has no Rust of 1.$rust_minor_min or newer: install one with rustup, as the Rust project's site says, then try again"
  missing="$missing rustup"
  install_missing
  say "Installing the stable Rust toolchain"
  rustup toolchain install stable --profile minimal || fail "rustup could not install a toolchain; see the lines above"
  rustup default stable
}
