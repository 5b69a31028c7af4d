/** What the life cycle costs: `npm run bench:life`. */
import { probe } from "../launch/facts/probe.js";
import { timeExec } from "./life-exec.js";
import { timePs } from "./life-ps.js";
import { table } from "./measure.js";

const host = probe("/", process.env);
const rows = [...(await timePs(host)), ...(await timeExec(host))];
process.stdout.write(table([["milliseconds", "median", "p10"], ...rows]));
