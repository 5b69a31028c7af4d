/** What the life cycle costs: `npm run bench:life`. */
import { probe } from "../launch/probe.js";
import { timePs } from "./life-ps.js";
import { table } from "./measure.js";

const host = probe("/", process.env);
process.stdout.write(table([["milliseconds", "median", "p10"], ...(await timePs(host))]));
