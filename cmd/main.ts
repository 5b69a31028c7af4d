/** The entry: the only place that reads argv. */
import { dispatch } from "./dispatch.js";

await dispatch(process.argv.slice(2));
