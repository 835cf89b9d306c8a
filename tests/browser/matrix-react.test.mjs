// The React example in the cases that depend on its own code: matrix.mjs has the table.

import { siteMatrix } from "./matrix.mjs";
import { spa } from "./spa.mjs";

siteMatrix(spa("the React example", "react"));
