#!/bin/sh
# Renews what seccomp/ has from others: the default profile, as the newest docker.io of Debian has it, and
# the lists of system calls, from the newest linux-libc-dev. Needs apt, its archive's keyring (Debian and
# Ubuntu: debian-archive-keyring) and `npm ci`, not root. The machine's own apt is neither asked nor changed.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir -p state/lists/partial cache/archives/partial headers
: >status
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for suite in unstable trixie-backports; do
  echo "deb [arch=amd64 signed-by=$keyring] http://deb.debian.org/debian $suite main"
done >sources.list
echo "deb-src [signed-by=$keyring] http://deb.debian.org/debian unstable main" >>sources.list
cat >apt.conf <<END
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State "$work/state";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
APT::Architecture "amd64";
APT::Sandbox::User "root";
END
export APT_CONFIG="$work/apt.conf"
apt-get update -qq

newest=$(apt-cache madison linux-libc-dev | awk '/Packages/ { print $3 }' | sort -V | tail -n 1)
apt-get download -qq "linux-libc-dev=$newest"
dpkg -x linux-libc-dev_*.deb headers
(cd "$root" && node --import tsx seccomp/generate-syscalls.ts --headers "$work/headers/usr")

# Of the source package, whose binary packages are without the profile since 28, only what is needed.
apt-get source -qq --print-uris --only-source docker.io >uris
package=$(sed -n "s/^'.*' docker\.io_\(.*\)\.dsc .*/\1/p" uris)
# shellcheck disable=SC2046 # uri, name, size and hash
set -- $(grep -F '.orig.tar.xz ' uris | tr -d "'")
/usr/lib/apt/apt-helper download-file "$1" source.tar.xz "$4"
mkdir source
tar -xf source.tar.xz -C source --strip-components=2 --wildcards \
  '*/vendor/modules.txt' '*/vendor/github.com/moby/profiles/seccomp/*'
cd source/engine/vendor
version=$(sed -n 's/^# github\.com\/moby\/profiles\/seccomp //p' modules.txt)
cd github.com/moby/profiles/seccomp
cp default.json "$root/seccomp/default.json"
cp LICENSE "$root/seccomp/default.LICENSE"
cat >"$root/seccomp/default.md" <<END
# The default profile

\`default.json\` is the seccomp profile that moby gives to containers, byte for byte. This page is written by
\`renew.sh\`, which renews all of it.

- Source: \`seccomp/default.json\` of https://github.com/moby/profiles, as in Debian's docker.io $package
- Version: $version
- Date: $(date -u -r default.json +%F)
- Licence: Apache-2.0, the text is in \`default.LICENSE\`
- SHA-256: $(sha256sum default.json | cut -d ' ' -f 1)
END
