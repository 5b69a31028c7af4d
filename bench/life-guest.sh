#!/bin/sh
# The life cycle beside podman's, in the guest of test/guest: fetches podman's packages with apt, which the guest
# cannot reach, brings them along in node_modules, and runs bench/life-peer.ts there.
set -eu
cd "$(dirname "$0")/.."
packages="podman conmon crun golang-github-containers-common golang-github-containers-image libyajl2
  libgpgme11 libassuan0 libgpg-error0 libsubid4 libdevmapper1.02.1 dmsetup libglib2.0-0 libpcre2-8-0"
place=node_modules/.cache/podman
mkdir -p $place
# shellcheck disable=SC2086 # words
[ -e $place/fetched ] || (cd $place && apt-get download -qq $packages && : >fetched)
# Its networks are not measured, and so their packages are left out.
exec npm run --silent test:guest -- --shell "sudo dpkg -i --force-depends $place/*.deb >/dev/null 2>&1;
  sudo dpkg --configure -a --force-depends >/dev/null 2>&1; node --import tsx bench/life-peer.ts"
