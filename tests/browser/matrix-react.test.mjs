// The React example where its own code decides: matrix.mjs has the table.

import { siteMatrix } from "./matrix.mjs";
import { spa } from "./spa.mjs";

siteMatrix(spa("the React example", "react"));
