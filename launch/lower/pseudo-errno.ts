/** Failures that no errno stands for; above every errno, and below 255: launch/lower/text/failure-texts.ts. */
export const pseudoErrno = {
  /** A helper program exited with an error, having said why on stderr. */
  helperFailed: 200,
  /** The file is there, what should interpret it is not. */
  noInterpreter: 201,
  /** What should be a procfs is none. */
  notProc: 202,
  /** What should be /dev/null is another file. */
  notNull: 203,
  /** A directory would be mounted over a file, or a file over a directory. */
  otherType: 204,
  /** fuse-overlayfs ended while the sandbox lived. */
  serverEnded: 205,
  /** A sandbox of that name is running. */
  nameTaken: 206,
  /** pasta or slirp4netns ended while it was waited for. */
  uplinkEnded: 207,
  /** slirp4netns would not forward a port. */
  portRefused: 208,
  /** A sandbox on the network has that address. */
  addressTaken: 209,
  /** Every address of the network is a sandbox's. */
  networkFull: 210,
  /** systemd did not start the scope, and said why. */
  scopeRefused: 211,
  /** The sandbox whose namespaces were to be joined has ended. */
  joinedEnded: 212,
  /** What should be a network namespace is none. */
  notNetwork: 213,
  /** Another monitor has the sandbox. */
  isRunning: 214,
  /** The monitor of a sandbox ended without telling how. */
  monitorEnded: 215,
  /** No more may be attached. */
  clientsFull: 216,
  /** The sandbox to be entered, or to be joined, is being set up. */
  notUp: 217,
  /** A path of the sandbox's leads to no terminals, whatever was put there. */
  notTerminals: 218,
} as const;
