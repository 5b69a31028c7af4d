/**
 * The pasta of the Debian after this machine's, whose options and habits are others (2025-05, where Debian
 * 12 has that of 2023-03). It is started by its own libc, so that nothing is installed.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { pastaOptions } from "../../spec/host.js";
import { madeOnce, run } from "./once.js";

/** Lists and state of its own: nothing of this machine's apt changes. */
const aptConfig = (directory: string) => `Dir::State "${directory}";
Dir::State::status "/dev/null";
Dir::Cache "${directory}";
Dir::Etc::sourcelist "${directory}/sources.list";
Dir::Etc::sourceparts "-";
APT::Sandbox::User "root";
`;
const download = `
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/$' | head -n 1)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $mirror trixie main" >sources.list
export APT_CONFIG=$PWD/apt.conf
apt-get update -qq
apt-get download -qq passt libc6
for package in *.deb; do dpkg-deb -x "$package" unpacked; done
mkdir made
mv unpacked/usr/bin/pasta made
mv unpacked/usr/lib/*/libc.so.6 made
cp -L unpacked/usr/lib*/*/ld-linux-*.so.* made/ld.so`;

/** Makes a `pasta` in the directory, where there is none yet: its words are paths that begin with it. */
export async function makeNewerPasta(directory: string): Promise<void> {
  const made = await madeOnce("pasta-trixie", async (work) => {
    fs.writeFileSync(join(work, "apt.conf"), aptConfig(work));
    await run("sh", ["-ec", download], { cwd: work, env: { ...process.env, LC_ALL: "C" } });
    return join(work, "made");
  });
  const parts = join(directory, "newer");
  if (fs.existsSync(parts)) return;
  fs.symlinkSync(made, parts);
  const bytes = fs.readFileSync(join(made, "pasta"));
  // sbx looks for them in the file that it is to start.
  const options = pastaOptions.filter((name) => bytes.includes(`--${name}`));
  const words = `--argv0 pasta --library-path ${parts} ${parts}/pasta`;
  fs.writeFileSync(
    join(directory, "pasta"),
    `#!/bin/sh\n# --${options.join(" --")}\nexec ${parts}/ld.so ${words} "$@"\n`,
    { mode: 0o755 },
  );
}
