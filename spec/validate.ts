/** Checks a whole spec, wherever it came from: flags, a bundle's config.json or a library call. */
import { posix } from "node:path";
import { capabilityNames } from "./capabilities.js";
import { type Problem, SbxError } from "./error.js";
import { lifeKeys } from "./life-shape.js";
import { maskRefusal } from "./masked.js";
import { hostGateway } from "./network.js";
import { freeName, givenName, isAddress, networkKeys } from "./network-shape.js";
import { checkRelations, sysctlNamespace } from "./relations.js";
import { cgroupKeys, resources } from "./resources-shape.js";
import {
  type Check,
  list,
  nonEmptyText,
  object,
  oneOf,
  optional,
  orWord,
  record,
  text,
  textThat,
  whole,
  yesOrNo,
} from "./shape.js";
import {
  type EtcFiles,
  type JoinKeys,
  joinableTypes,
  type Linux,
  type Mapping,
  type Mount,
  namespaceTypes,
  overlayKinds,
  type Process,
  rlimitNames,
  type SbxKeys,
  type Spec,
  type TimeOffset,
  type User,
  type UsernsMode,
} from "./spec.js";

/** 2^32 - 1 is (uid_t) -1, which means "no change" to the kernel: user_namespaces(7). */
const id = whole(0, 2 ** 32 - 2);
/** File descriptors are ints; the kernel's own ceiling is fs.nr_open, far below. */
const fd = (least: number) => whole(least, 2 ** 31 - 1);
const umask = whole(0, 0o777);

/** An absolute path inside the sandbox, given back without `.`, `..` and doubled slashes. */
const path: Check<string> = (value, at, report) => {
  const given = textThat("be an absolute path", (word) => word.startsWith("/"))(value, at, report);
  if (given === undefined) return undefined;
  const normal = posix.normalize(given);
  return normal === "/" ? normal : normal.replace(/\/$/, "");
};

const maskedPath: Check<string> = (value, at, report) => {
  const normal = path(value, at, report);
  const refusal = normal === undefined ? null : maskRefusal(normal);
  if (refusal === null) return normal;
  report(at, refusal, "Leave it out");
  return undefined;
};

const envSetting = textThat("have the form NAME=VALUE", (word) => word.indexOf("=") > 0);
const envName = textThat(
  "be a variable's name, not empty and without `=`",
  (word) => word !== "" && !word.includes("="),
);

/**
 * __NEW_UTS_LEN of include/uapi/linux/utsname.h: sethostname(2) and setdomainname(2). The kernel takes any
 * bytes; a blank or line end would be more names, or lines, of /etc/hosts and of a network's answerer.
 */
const utsName = textThat(
  "be 1 to 64 bytes long, without blanks, control characters and `#`",
  (word) => /^[^\s\p{Cc}#]+$/u.test(word) && Buffer.byteLength(word) <= 64,
);

const capability = oneOf(...capabilityNames);
const capabilityOrAll = orWord(capability, "ALL");
const capabilityList = optional(list(capability));

const sysctlName: Check<string> = (value, at, report) => {
  const name = text(value, at, report);
  if (name === undefined) return undefined;
  // `net..x` and `net./../x` would name other files of /proc/sys.
  const wellFormed = /^[a-z0-9_-]+(\.[a-z0-9_:@-]+)+$/i.test(name);
  if (wellFormed && sysctlNamespace(name) !== null) return name;
  if (!wellFormed) report(at, "is no name of a sysctl", "The form is net.ipv4.ip_forward");
  else if (name === "kernel.domainname") report(at, "has a key of its own", "Set domainname");
  else if (name === "kernel.hostname") report(at, "has a key of its own", "Set hostname");
  else {
    report(
      at,
      "is a setting of the whole host, not of a namespace",
      "Those that can be set are net.*, fs.mqueue.*, and kernel.msg*, kernel.sem and kernel.shm*",
    );
  }
  return undefined;
};

const rlimitValue = orWord(whole(0, Number.MAX_SAFE_INTEGER), "unlimited");

const mapping = object<Mapping>({ containerID: id, hostID: id, size: whole(1, 2 ** 32 - 1) });

/** Both clocks stay within half of KTIME_SEC_MAX, 146 years: kernel/time/namespace.c. */
const timeOffset = object<TimeOffset>({
  secs: whole(-4_611_686_018, 4_611_686_018),
  nanosecs: optional(whole(0, 999_999_999)),
});

const user = object<User>({
  uid: id,
  gid: id,
  umask: optional(umask),
  additionalGids: optional(list(id)),
});

const processKeys = object<Process>({
  terminal: optional(yesOrNo),
  user: optional(user),
  args: list(text),
  env: list(envSetting),
  cwd: path,
  capabilities: optional(
    object<NonNullable<Process["capabilities"]>>({
      bounding: capabilityList,
      effective: capabilityList,
      inheritable: capabilityList,
      permitted: capabilityList,
      ambient: capabilityList,
    }),
  ),
  rlimits: optional(
    list(object({ type: oneOf(...rlimitNames), soft: rlimitValue, hard: rlimitValue })),
  ),
  noNewPrivileges: optional(yesOrNo),
  // proc_pid_oom_score_adj(5)
  oomScoreAdj: optional(whole(-1000, 1000)),
});

const mount = object<Mount>({
  destination: path,
  type: optional(nonEmptyText),
  source: optional(nonEmptyText),
  options: optional(list(nonEmptyText)),
});

const linux = object<Linux>({
  namespaces: list(object({ type: oneOf(...namespaceTypes) })),
  uidMappings: optional(list(mapping, 1)),
  gidMappings: optional(list(mapping, 1)),
  timeOffsets: optional(
    object<NonNullable<Linux["timeOffsets"]>>({
      monotonic: optional(timeOffset),
      boottime: optional(timeOffset),
    }),
  ),
  sysctl: optional(record(sysctlName, nonEmptyText)),
  resources: optional(resources),
  maskedPaths: optional(list(maskedPath)),
  readonlyPaths: optional(list(path)),
  // What is in it, seccomp/profile.ts checks.
  seccomp: optional(record(text, (value) => value)),
});

const plainUserns = object<{ mode: "auto" | "single" | "nomap" }>({
  mode: oneOf("auto", "single", "nomap"),
});
const keepId = object<Extract<UsernsMode, { mode: "keep-id" }>>({
  mode: oneOf("keep-id"),
  uid: optional(id),
  gid: optional(id),
});
const anyUserns = oneOf("auto", "single", "keep-id", "nomap");

const userns: Check<UsernsMode> = (value, at, report) => {
  if (typeof value !== "object" || value === null) return plainUserns(value, at, report);
  const { mode } = value as { mode?: unknown };
  if (anyUserns(mode, `${at}.mode`, report) === undefined) return undefined;
  return mode === "keep-id" ? keepId(value, at, report) : plainUserns(value, at, report);
};

type VolumeUse = NonNullable<SbxKeys["volumes"]>[number];
const etcFiles = object<EtcFiles>({
  hosts: yesOrNo,
  addHosts: list(
    object<EtcFiles["addHosts"][number]>({
      address: orWord(textThat("be an IP address", isAddress), hostGateway),
      name: textThat("be a host name", (word) => /^[^\s#]+$/.test(word)),
    }),
  ),
});

const sbxKeys = object<SbxKeys>({
  userns,
  name: optional(freeName),
  life: optional(lifeKeys),
  network: optional(networkKeys),
  join: optional(
    object<JoinKeys>({ sandbox: givenName, namespaces: list(oneOf(...joinableTypes), 1) }),
  ),
  cgroup: optional(cgroupKeys),
  user: optional(textThat("name a user", (word) => word !== "" && word !== ":")),
  umask: optional(umask),
  capAdd: optional(list<string>(capabilityOrAll)),
  capDrop: optional(list<string>(capabilityOrAll)),
  seccomp: oneOf("default", "unconfined"),
  seccompFile: optional(nonEmptyText),
  terminalInjection: optional(yesOrNo),
  lowers: optional(list(nonEmptyText)),
  writes: oneOf("throw-away", "in-place", "upper"),
  upper: optional(nonEmptyText),
  upperSizeBytes: optional(whole(1, Number.MAX_SAFE_INTEGER)),
  overlay: optional(oneOf(...overlayKinds)),
  volumes: optional(list(object<VolumeUse>({ path }))),
  etcFiles: optional(etcFiles),
  entrypoint: list(text),
  inheritEnv: list(envName),
  inheritAllEnv: yesOrNo,
  init: yesOrNo,
  preserveFds: fd(0),
  statusFd: optional(fd(3)),
});

const wholeSpec = object<Spec>({
  ociVersion: textThat("be a version 1.x.y of the runtime-spec", (word) =>
    /^1\.\d+\.\d+([-+].*)?$/.test(word),
  ),
  process: processKeys,
  root: object<Spec["root"]>({ path: nonEmptyText, readonly: optional(yesOrNo) }),
  hostname: optional(utsName),
  domainname: optional(utsName),
  annotations: optional(record(nonEmptyText, text)),
  mounts: list(mount),
  linux,
  sbx: sbxKeys,
});

/**
 * The value as a spec, paths inside the sandbox made normal. Everything that is wrong with it is
 * found at once: an `SbxError` has a `Problem` for each, `what` naming the place, such as
 * `linux.uidMappings[1].size`.
 */
export function validate(value: unknown): Spec {
  const problems: Problem[] = [];
  const report = (at: string, why: string, hint?: string) => {
    const what = at === "" ? "the spec" : at;
    problems.push(hint === undefined ? { what, why } : { what, why, hint });
  };
  const spec = wholeSpec(value, "", report);
  if (spec !== undefined) checkRelations(spec, report);
  if (problems.length > 0 || spec === undefined) throw new SbxError(problems);
  return spec;
}
