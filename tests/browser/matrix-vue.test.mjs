// The Vue example in every client: matrix.mjs has the table.

import { wholeMatrix } from "./matrix.mjs";
import { spa } from "./spa.mjs";

wholeMatrix(spa("the Vue example", "vue"));
